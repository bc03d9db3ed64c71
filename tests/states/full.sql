-- Start state "full", run on top of "core": everything the older SQL scripts 001 to 031 left behind.

-- 000: a stand-in for Supabase's auth schema, for clinics that run on their own server.
DO $$
BEGIN
  IF to_regprocedure('auth.uid()') IS NULL THEN
    CREATE SCHEMA IF NOT EXISTS auth;
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $fn$
      SELECT coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
      )::uuid
    $fn$;
  END IF;
END
$$;

-- 001_add_public_id_core_tables.sql, 002_add_public_id_appointments.sql, 003_add_public_id_sessions.sql
ALTER TABLE patients ADD COLUMN IF NOT EXISTS public_id varchar(255) UNIQUE;
ALTER TABLE doctors ADD COLUMN IF NOT EXISTS public_id varchar(255) UNIQUE;
ALTER TABLE appointments ADD COLUMN IF NOT EXISTS public_id varchar(255) UNIQUE;
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS public_id varchar(255) UNIQUE;
ALTER TABLE insurance_claims ADD COLUMN IF NOT EXISTS public_id varchar(255) UNIQUE;

CREATE INDEX IF NOT EXISTS idx_patients_public_id ON patients(public_id);
CREATE INDEX IF NOT EXISTS idx_doctors_public_id ON doctors(public_id);
CREATE INDEX IF NOT EXISTS idx_appointments_public_id ON appointments(public_id);
CREATE INDEX IF NOT EXISTS idx_sessions_public_id ON sessions(public_id);
CREATE INDEX IF NOT EXISTS idx_insurance_claims_public_id ON insurance_claims(public_id);

COMMENT ON COLUMN patients.public_id IS 'Public CUID for API use';
COMMENT ON COLUMN appointments.public_id IS 'Public CUID for API use';

-- 004_user_preferences.sql
CREATE TABLE IF NOT EXISTS user_preferences (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  user_id uuid UNIQUE NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  theme varchar(20) DEFAULT 'system',
  language varchar(5) DEFAULT 'ar',
  timezone varchar(50) DEFAULT 'Asia/Riyadh',
  notifications_enabled boolean DEFAULT true,
  sidebar_collapsed boolean DEFAULT false,
  dashboard_layout varchar(20) DEFAULT 'grid',
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);
CREATE INDEX IF NOT EXISTS idx_user_preferences_public_id ON user_preferences(public_id);
CREATE INDEX IF NOT EXISTS idx_user_preferences_user_id ON user_preferences(user_id);
CREATE INDEX IF NOT EXISTS idx_user_preferences_theme ON user_preferences(theme);
CREATE INDEX IF NOT EXISTS idx_user_preferences_language ON user_preferences(language);

CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at = now();
  RETURN NEW;
END;
$$;
DROP TRIGGER IF EXISTS update_user_preferences_updated_at ON user_preferences;
CREATE TRIGGER update_user_preferences_updated_at BEFORE UPDATE ON user_preferences
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

-- 010_chatbot_tables.sql
CREATE TABLE IF NOT EXISTS chatbot_flows (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  name varchar(255) NOT NULL,
  description text,
  status varchar(50) DEFAULT 'draft',
  version integer DEFAULT 1,
  created_by uuid REFERENCES users(id),
  published_at timestamp,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS chatbot_nodes (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  flow_id uuid NOT NULL REFERENCES chatbot_flows(id) ON DELETE CASCADE,
  node_type varchar(50) NOT NULL,
  name varchar(255) NOT NULL,
  config jsonb DEFAULT '{}',
  position_x integer DEFAULT 0,
  position_y integer DEFAULT 0,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS chatbot_edges (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  flow_id uuid NOT NULL REFERENCES chatbot_flows(id) ON DELETE CASCADE,
  source_node_id uuid NOT NULL REFERENCES chatbot_nodes(id),
  target_node_id uuid NOT NULL REFERENCES chatbot_nodes(id),
  condition jsonb,
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS chatbot_templates (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  name varchar(255) NOT NULL,
  category varchar(100),
  language varchar(10) DEFAULT 'ar',
  content text NOT NULL,
  variables jsonb,
  is_approved boolean DEFAULT false,
  created_by uuid REFERENCES users(id),
  approved_by uuid REFERENCES users(id),
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS chatbot_integrations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  provider varchar(50) NOT NULL,
  name varchar(255) NOT NULL,
  config jsonb NOT NULL,
  status varchar(50) DEFAULT 'inactive',
  webhook_url varchar(500),
  webhook_secret varchar(255),
  last_health_check timestamp,
  health_status varchar(50) DEFAULT 'unknown',
  created_by uuid REFERENCES users(id),
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS conversations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  integration_id uuid REFERENCES chatbot_integrations(id),
  patient_id uuid REFERENCES patients(id),
  external_id varchar(255),
  status varchar(50) DEFAULT 'active',
  channel varchar(50) NOT NULL,
  started_at timestamp DEFAULT now(),
  ended_at timestamp,
  metadata jsonb,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS messages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  conversation_id uuid NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
  sender_type varchar(50) NOT NULL,
  content text NOT NULL,
  message_type varchar(50) DEFAULT 'text',
  metadata jsonb,
  sent_at timestamp DEFAULT now(),
  read_at timestamp
);

-- 011_chatbot_indexes.sql
CREATE INDEX IF NOT EXISTS idx_chatbot_flows_public_id ON chatbot_flows(public_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_flows_status ON chatbot_flows(status);
CREATE INDEX IF NOT EXISTS idx_chatbot_flows_created_by ON chatbot_flows(created_by);
CREATE INDEX IF NOT EXISTS idx_chatbot_flows_created_by_status ON chatbot_flows(created_by, status);
CREATE INDEX IF NOT EXISTS idx_chatbot_nodes_public_id ON chatbot_nodes(public_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_nodes_flow_id ON chatbot_nodes(flow_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_nodes_type ON chatbot_nodes(node_type);
CREATE INDEX IF NOT EXISTS idx_chatbot_edges_public_id ON chatbot_edges(public_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_edges_flow_id ON chatbot_edges(flow_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_edges_source ON chatbot_edges(source_node_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_edges_target ON chatbot_edges(target_node_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_templates_public_id ON chatbot_templates(public_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_templates_category ON chatbot_templates(category);
CREATE INDEX IF NOT EXISTS idx_chatbot_templates_language ON chatbot_templates(language);
CREATE INDEX IF NOT EXISTS idx_chatbot_templates_approved ON chatbot_templates(is_approved);
CREATE INDEX IF NOT EXISTS idx_chatbot_integrations_public_id ON chatbot_integrations(public_id);
CREATE INDEX IF NOT EXISTS idx_chatbot_integrations_provider ON chatbot_integrations(provider);
CREATE INDEX IF NOT EXISTS idx_chatbot_integrations_status ON chatbot_integrations(status);
CREATE INDEX IF NOT EXISTS idx_chatbot_integrations_health ON chatbot_integrations(health_status);
CREATE INDEX IF NOT EXISTS idx_conversations_public_id ON conversations(public_id);
CREATE INDEX IF NOT EXISTS idx_conversations_integration_id ON conversations(integration_id);
CREATE INDEX IF NOT EXISTS idx_conversations_patient_id ON conversations(patient_id);
CREATE INDEX IF NOT EXISTS idx_conversations_patient_status ON conversations(patient_id, status);
CREATE INDEX IF NOT EXISTS idx_conversations_status ON conversations(status);
CREATE INDEX IF NOT EXISTS idx_conversations_channel ON conversations(channel);
CREATE INDEX IF NOT EXISTS idx_conversations_external_id ON conversations(external_id);
CREATE INDEX IF NOT EXISTS idx_conversations_active ON conversations(started_at DESC) WHERE status = 'active';
CREATE INDEX IF NOT EXISTS idx_messages_public_id ON messages(public_id);
CREATE INDEX IF NOT EXISTS idx_messages_conversation_id ON messages(conversation_id);
CREATE INDEX IF NOT EXISTS idx_messages_conversation_sent ON messages(conversation_id, sent_at);
CREATE INDEX IF NOT EXISTS idx_messages_sender_type ON messages(sender_type);
CREATE INDEX IF NOT EXISTS idx_messages_type ON messages(message_type);
CREATE INDEX IF NOT EXISTS idx_messages_sent_at ON messages(sent_at);
CREATE INDEX IF NOT EXISTS idx_messages_search ON messages USING gin(to_tsvector('simple', content));

-- 012_chatbot_rls.sql
ALTER TABLE chatbot_flows ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatbot_nodes ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatbot_edges ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatbot_templates ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatbot_integrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;

CREATE POLICY "Users can view published flows" ON chatbot_flows FOR SELECT
  USING (status = 'published' OR created_by = auth.uid());
CREATE POLICY "Users can create flows" ON chatbot_flows FOR INSERT WITH CHECK (created_by = auth.uid());
CREATE POLICY "Users can update own flows" ON chatbot_flows FOR UPDATE USING (created_by = auth.uid());
CREATE POLICY "Users can delete own flows" ON chatbot_flows FOR DELETE USING (created_by = auth.uid());
CREATE POLICY "Admins can manage all flows" ON chatbot_flows FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));

CREATE POLICY "Users can view nodes of accessible flows" ON chatbot_nodes FOR SELECT
  USING (EXISTS (SELECT 1 FROM chatbot_flows f WHERE f.id = flow_id
                 AND (f.status = 'published' OR f.created_by = auth.uid())));
CREATE POLICY "Users can manage nodes of own flows" ON chatbot_nodes FOR ALL
  USING (EXISTS (SELECT 1 FROM chatbot_flows f WHERE f.id = flow_id AND f.created_by = auth.uid()));
CREATE POLICY "Admins can manage all nodes" ON chatbot_nodes FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));

CREATE POLICY "Users can view edges of accessible flows" ON chatbot_edges FOR SELECT
  USING (EXISTS (SELECT 1 FROM chatbot_flows f WHERE f.id = flow_id
                 AND (f.status = 'published' OR f.created_by = auth.uid())));
CREATE POLICY "Users can manage edges of own flows" ON chatbot_edges FOR ALL
  USING (EXISTS (SELECT 1 FROM chatbot_flows f WHERE f.id = flow_id AND f.created_by = auth.uid()));
CREATE POLICY "Admins can manage all edges" ON chatbot_edges FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));

CREATE POLICY "Users can view approved templates" ON chatbot_templates FOR SELECT
  USING (is_approved = true OR created_by = auth.uid());
CREATE POLICY "Users can create templates" ON chatbot_templates FOR INSERT WITH CHECK (created_by = auth.uid());
CREATE POLICY "Users can update own templates" ON chatbot_templates FOR UPDATE USING (created_by = auth.uid());
CREATE POLICY "Admins can manage all templates" ON chatbot_templates FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));

CREATE POLICY "Admins can manage integrations" ON chatbot_integrations FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));

CREATE POLICY "Users can view own conversations" ON conversations FOR SELECT
  USING (patient_id IN (SELECT id FROM patients WHERE patients.email =
                        (SELECT email FROM users WHERE users.id = auth.uid())));
CREATE POLICY "Admins can view all conversations" ON conversations FOR SELECT
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role IN ('admin', 'staff')));
CREATE POLICY "System can manage conversations" ON conversations FOR ALL USING (true);

CREATE POLICY "Users can view own messages" ON messages FOR SELECT
  USING (conversation_id IN (SELECT c.id FROM conversations c JOIN patients p ON p.id = c.patient_id
                             WHERE p.email = (SELECT email FROM users WHERE users.id = auth.uid())));
CREATE POLICY "Admins can view all messages" ON messages FOR SELECT
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role IN ('admin', 'staff')));
CREATE POLICY "System can manage messages" ON messages FOR ALL USING (true);

-- 020_crm_tables.sql
CREATE TABLE IF NOT EXISTS crm_leads (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  name varchar(255) NOT NULL,
  email varchar(255),
  phone varchar(50),
  company varchar(255),
  source varchar(100),
  status varchar(50) DEFAULT 'new',
  score integer DEFAULT 0,
  notes text,
  owner_id uuid REFERENCES users(id),
  assigned_at timestamp DEFAULT now(),
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS crm_deals (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  title varchar(255) NOT NULL,
  description text,
  value numeric(12,2),
  currency varchar(10) DEFAULT 'SAR',
  stage varchar(50) DEFAULT 'prospecting',
  probability integer DEFAULT 0,
  expected_close_date date,
  actual_close_date date,
  owner_id uuid REFERENCES users(id),
  contact_id uuid REFERENCES patients(id),
  lead_id uuid REFERENCES crm_leads(id),
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS crm_activities (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  type varchar(50) NOT NULL,
  subject varchar(255) NOT NULL,
  description text,
  due_date date,
  due_time time,
  status varchar(50) DEFAULT 'pending',
  priority varchar(20) DEFAULT 'medium',
  owner_id uuid REFERENCES users(id),
  contact_id uuid REFERENCES patients(id),
  deal_id uuid REFERENCES crm_deals(id),
  completed_at timestamp,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

-- 021_crm_indexes.sql
CREATE INDEX IF NOT EXISTS idx_crm_leads_public_id ON crm_leads(public_id);
CREATE INDEX IF NOT EXISTS idx_crm_leads_owner_id ON crm_leads(owner_id);
CREATE INDEX IF NOT EXISTS idx_crm_leads_owner_status ON crm_leads(owner_id, status);
CREATE INDEX IF NOT EXISTS idx_crm_leads_status ON crm_leads(status);
CREATE INDEX IF NOT EXISTS idx_crm_leads_source ON crm_leads(source);
CREATE INDEX IF NOT EXISTS idx_crm_leads_email ON crm_leads(email);
CREATE INDEX IF NOT EXISTS idx_crm_deals_public_id ON crm_deals(public_id);
CREATE INDEX IF NOT EXISTS idx_crm_deals_owner_id ON crm_deals(owner_id);
CREATE INDEX IF NOT EXISTS idx_crm_deals_owner_stage ON crm_deals(owner_id, stage);
CREATE INDEX IF NOT EXISTS idx_crm_deals_stage ON crm_deals(stage);
CREATE INDEX IF NOT EXISTS idx_crm_deals_value ON crm_deals(value);
CREATE INDEX IF NOT EXISTS idx_crm_deals_contact_id ON crm_deals(contact_id);
CREATE INDEX IF NOT EXISTS idx_crm_deals_expected_close ON crm_deals(expected_close_date);
CREATE INDEX IF NOT EXISTS idx_crm_activities_public_id ON crm_activities(public_id);
CREATE INDEX IF NOT EXISTS idx_crm_activities_owner_id ON crm_activities(owner_id);
CREATE INDEX IF NOT EXISTS idx_crm_activities_owner_status ON crm_activities(owner_id, status);
CREATE INDEX IF NOT EXISTS idx_crm_activities_due_date ON crm_activities(due_date);
CREATE INDEX IF NOT EXISTS idx_crm_activities_due_status ON crm_activities(due_date, status);
CREATE INDEX IF NOT EXISTS idx_crm_activities_type ON crm_activities(type);
CREATE INDEX IF NOT EXISTS idx_crm_activities_status ON crm_activities(status);
CREATE INDEX IF NOT EXISTS idx_crm_activities_priority ON crm_activities(priority);

-- 022_crm_rls.sql
ALTER TABLE crm_leads ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm_deals ENABLE ROW LEVEL SECURITY;
ALTER TABLE crm_activities ENABLE ROW LEVEL SECURITY;

CREATE POLICY "Users can view own leads" ON crm_leads FOR SELECT USING (owner_id = auth.uid());
CREATE POLICY "Users can create leads" ON crm_leads FOR INSERT WITH CHECK (owner_id = auth.uid());
CREATE POLICY "Users can update own leads" ON crm_leads FOR UPDATE USING (owner_id = auth.uid());
CREATE POLICY "Admins can manage all leads" ON crm_leads FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role IN ('admin', 'supervisor')));
CREATE POLICY "Users can view own deals" ON crm_deals FOR SELECT USING (owner_id = auth.uid());
CREATE POLICY "Users can create deals" ON crm_deals FOR INSERT WITH CHECK (owner_id = auth.uid());
CREATE POLICY "Users can update own deals" ON crm_deals FOR UPDATE USING (owner_id = auth.uid());
CREATE POLICY "Admins can manage all deals" ON crm_deals FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role IN ('admin', 'supervisor')));
CREATE POLICY "Users can view own activities" ON crm_activities FOR SELECT USING (owner_id = auth.uid());
CREATE POLICY "Users can create activities" ON crm_activities FOR INSERT WITH CHECK (owner_id = auth.uid());
CREATE POLICY "Users can update own activities" ON crm_activities FOR UPDATE USING (owner_id = auth.uid());
CREATE POLICY "Admins can manage all activities" ON crm_activities FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role IN ('admin', 'supervisor')));

-- 030_system_admin_tables.sql
CREATE TABLE IF NOT EXISTS notifications (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  user_id uuid NOT NULL REFERENCES users(id),
  title varchar(255) NOT NULL,
  message text NOT NULL,
  type varchar(50) DEFAULT 'info',
  is_read boolean DEFAULT false,
  action_url varchar(500),
  metadata jsonb,
  created_at timestamp DEFAULT now(),
  read_at timestamp
);

CREATE TABLE IF NOT EXISTS internal_messages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  sender_id uuid REFERENCES users(id),
  recipient_id uuid REFERENCES users(id),
  subject varchar(255),
  content text NOT NULL,
  is_read boolean DEFAULT false,
  parent_message_id uuid REFERENCES internal_messages(id),
  created_at timestamp DEFAULT now(),
  read_at timestamp
);

CREATE TABLE IF NOT EXISTS audit_logs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  user_id uuid REFERENCES users(id),
  action varchar(100) NOT NULL,
  table_name varchar(100) NOT NULL,
  record_id uuid,
  old_values jsonb,
  new_values jsonb,
  ip_address inet,
  user_agent text,
  created_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS roles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  name varchar(100) UNIQUE NOT NULL,
  description text,
  permissions jsonb DEFAULT '[]',
  is_system boolean DEFAULT false,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE TABLE IF NOT EXISTS user_roles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  user_id uuid NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  role_id uuid NOT NULL REFERENCES roles(id) ON DELETE CASCADE,
  assigned_by uuid REFERENCES users(id),
  assigned_at timestamp DEFAULT now(),
  UNIQUE(user_id, role_id)
);

CREATE TABLE IF NOT EXISTS settings (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  public_id varchar(255) UNIQUE NOT NULL,
  key varchar(255) UNIQUE NOT NULL,
  value jsonb NOT NULL,
  description text,
  category varchar(100) DEFAULT 'general',
  is_public boolean DEFAULT false,
  updated_by uuid REFERENCES users(id),
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_notifications_public_id ON notifications(public_id);
CREATE INDEX IF NOT EXISTS idx_notifications_user_id ON notifications(user_id);
CREATE INDEX IF NOT EXISTS idx_notifications_is_read ON notifications(is_read);
CREATE INDEX IF NOT EXISTS idx_internal_messages_public_id ON internal_messages(public_id);
CREATE INDEX IF NOT EXISTS idx_internal_messages_sender_id ON internal_messages(sender_id);
CREATE INDEX IF NOT EXISTS idx_internal_messages_recipient_id ON internal_messages(recipient_id);
CREATE INDEX IF NOT EXISTS idx_audit_logs_public_id ON audit_logs(public_id);
CREATE INDEX IF NOT EXISTS idx_audit_logs_user_id ON audit_logs(user_id);
CREATE INDEX IF NOT EXISTS idx_audit_logs_table_name ON audit_logs(table_name);
CREATE INDEX IF NOT EXISTS idx_audit_logs_created_at ON audit_logs(created_at);
CREATE INDEX IF NOT EXISTS idx_roles_public_id ON roles(public_id);
CREATE INDEX IF NOT EXISTS idx_roles_name ON roles(name);
CREATE INDEX IF NOT EXISTS idx_user_roles_public_id ON user_roles(public_id);
CREATE INDEX IF NOT EXISTS idx_user_roles_user_id ON user_roles(user_id);
CREATE INDEX IF NOT EXISTS idx_user_roles_role_id ON user_roles(role_id);
CREATE INDEX IF NOT EXISTS idx_settings_public_id ON settings(public_id);
CREATE INDEX IF NOT EXISTS idx_settings_key ON settings(key);
CREATE INDEX IF NOT EXISTS idx_settings_category ON settings(category);

COMMENT ON TABLE audit_logs IS 'System audit logs for tracking changes';

-- 031_system_rls.sql
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
ALTER TABLE appointments ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE internal_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE settings ENABLE ROW LEVEL SECURITY;

-- Recursion on users: this is the "stack depth" report nobody could explain.
CREATE POLICY "Users can view own profile" ON users FOR SELECT USING (id = auth.uid());
CREATE POLICY "Users can update own profile" ON users FOR UPDATE USING (id = auth.uid());
CREATE POLICY "Admins can manage all users" ON users FOR ALL
  USING (EXISTS (SELECT 1 FROM users u WHERE u.id = auth.uid() AND u.role = 'admin'));
CREATE POLICY "Users can view own patient record" ON patients FOR SELECT
  USING (email = (SELECT email FROM users WHERE users.id = auth.uid()));
CREATE POLICY "Admins can manage all patients" ON patients FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role IN ('admin', 'staff')));
CREATE POLICY "Users can view own appointments" ON appointments FOR SELECT
  USING (patient_id IN (SELECT id FROM patients WHERE email =
                        (SELECT email FROM users WHERE users.id = auth.uid())));
CREATE POLICY "Admins can manage all appointments" ON appointments FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role IN ('admin', 'staff')));

CREATE POLICY "Users can view own preferences" ON user_preferences FOR SELECT USING (user_id = auth.uid());
CREATE POLICY "Users can update own preferences" ON user_preferences FOR UPDATE USING (user_id = auth.uid());
CREATE POLICY "Users can insert own preferences" ON user_preferences FOR INSERT WITH CHECK (user_id = auth.uid());

CREATE POLICY "Users can view own notifications" ON notifications FOR SELECT USING (user_id = auth.uid());
CREATE POLICY "Users can update own notifications" ON notifications FOR UPDATE USING (user_id = auth.uid());
CREATE POLICY "System can create notifications" ON notifications FOR INSERT WITH CHECK (true);
CREATE POLICY "Admins can manage all notifications" ON notifications FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));

CREATE POLICY "Users can view own messages" ON internal_messages FOR SELECT
  USING (sender_id = auth.uid() OR recipient_id = auth.uid());
CREATE POLICY "Users can send messages" ON internal_messages FOR INSERT WITH CHECK (sender_id = auth.uid());
CREATE POLICY "Users can update received messages" ON internal_messages FOR UPDATE USING (recipient_id = auth.uid());

CREATE POLICY "Admins can view audit logs" ON audit_logs FOR SELECT
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));
CREATE POLICY "System can create audit logs" ON audit_logs FOR INSERT WITH CHECK (true);

CREATE POLICY "Users can view roles" ON roles FOR SELECT USING (auth.uid() IS NOT NULL);
CREATE POLICY "Admins can manage roles" ON roles FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));
CREATE POLICY "Users can view own roles" ON user_roles FOR SELECT USING (user_id = auth.uid());
CREATE POLICY "Admins can manage user roles" ON user_roles FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));
CREATE POLICY "Users can view public settings" ON settings FOR SELECT USING (is_public = true);
CREATE POLICY "Admins can manage settings" ON settings FOR ALL
  USING (EXISTS (SELECT 1 FROM users WHERE users.id = auth.uid() AND users.role = 'admin'));

-- The audit trigger forgets audit_logs.public_id, which is required: every write to the three tables fails.
CREATE OR REPLACE FUNCTION audit_trigger_function() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO audit_logs (user_id, action, table_name, record_id, old_values)
    VALUES (auth.uid(), TG_OP, TG_TABLE_NAME, OLD.id, to_jsonb(OLD));
    RETURN OLD;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO audit_logs (user_id, action, table_name, record_id, old_values, new_values)
    VALUES (auth.uid(), TG_OP, TG_TABLE_NAME, NEW.id, to_jsonb(OLD), to_jsonb(NEW));
    RETURN NEW;
  ELSE
    INSERT INTO audit_logs (user_id, action, table_name, record_id, new_values)
    VALUES (auth.uid(), TG_OP, TG_TABLE_NAME, NEW.id, to_jsonb(NEW));
    RETURN NEW;
  END IF;
END;
$$;

DROP TRIGGER IF EXISTS audit_patients_trigger ON patients;
CREATE TRIGGER audit_patients_trigger AFTER INSERT OR UPDATE OR DELETE ON patients
  FOR EACH ROW EXECUTE FUNCTION audit_trigger_function();
DROP TRIGGER IF EXISTS audit_appointments_trigger ON appointments;
CREATE TRIGGER audit_appointments_trigger AFTER INSERT OR UPDATE OR DELETE ON appointments
  FOR EACH ROW EXECUTE FUNCTION audit_trigger_function();
DROP TRIGGER IF EXISTS audit_users_trigger ON users;
CREATE TRIGGER audit_users_trigger AFTER INSERT OR UPDATE OR DELETE ON users
  FOR EACH ROW EXECUTE FUNCTION audit_trigger_function();
