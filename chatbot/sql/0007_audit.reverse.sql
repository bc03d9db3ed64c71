SELECT app.unaudit('chatbot_flows chatbot_integrations conversations messages');
