-- A clinic's own system in Portuguese: the dictionary has its words, but was made before these tables.

CREATE TABLE usuarios (
  usuario_id serial PRIMARY KEY, login_email varchar(120) NOT NULL UNIQUE, senha_hash varchar(100) NOT NULL, nome_exibicao varchar(120) NOT NULL,
  tipo varchar(20) NOT NULL, ativo boolean NOT NULL, criado_em timestamp NOT NULL DEFAULT now(), atualizado_em timestamp
);
CREATE TABLE pacientes (
  paciente_id serial PRIMARY KEY, prontuario varchar(12) NOT NULL UNIQUE, primeiro_nome varchar(60) NOT NULL, sobrenome varchar(60) NOT NULL,
  nascimento date, sexo varchar(10), celular varchar(20), endereco text, contato_emergencia varchar(80), historico_clinico text,
  alergias text, tipo_sanguineo varchar(4), cadastrado_em timestamp NOT NULL DEFAULT now()
);
CREATE TABLE medicos (
  medico_id serial PRIMARY KEY, usuario_id integer REFERENCES usuarios, nome_completo varchar(120) NOT NULL, especialidade varchar(60),
  registro_crm varchar(20), valor_consulta numeric(8, 2), situacao varchar(10)
);
CREATE TABLE agendamentos (
  agendamento_id serial PRIMARY KEY, paciente_id integer NOT NULL REFERENCES pacientes, medico_id integer NOT NULL REFERENCES medicos,
  inicio timestamp NOT NULL, minutos integer NOT NULL, situacao varchar(15) NOT NULL, motivo text
);
CREATE TABLE atendimentos (
  atendimento_id serial PRIMARY KEY, agendamento_id integer REFERENCES agendamentos, paciente_id integer NOT NULL REFERENCES pacientes,
  medico_id integer NOT NULL REFERENCES medicos, data_hora timestamp NOT NULL, diagnostico text, conduta text, anotacoes text
);
INSERT INTO usuarios (login_email, senha_hash, nome_exibicao, tipo, ativo)
SELECT 'b' || n || '@example.test', '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'ريم ' || n,
       (ARRAY['administrador', 'medico', 'recepcionista'])[1 + n % 3], n % 2 = 0 FROM generate_series(1, 12) AS n;
INSERT INTO pacientes (prontuario, primeiro_nome, sobrenome, nascimento, sexo, celular, endereco, contato_emergencia, historico_clinico, alergias, tipo_sanguineo)
SELECT 'P' || n, 'لمى', 'الشهري ' || n, date '1990-01-01' + n, (ARRAY['masculino', 'feminino'])[1 + n % 2], '05000000' || n, 'شارع ' || n,
       'جواهر', 'ضغط', 'غبار', 'A+' FROM generate_series(1, 40) AS n;
INSERT INTO medicos (usuario_id, nome_completo, especialidade, registro_crm, valor_consulta, situacao)
SELECT n, 'نورة السالم ' || n, 'قلب', 'C' || n, 100, (ARRAY['ativo', 'inativo'])[1 + n % 2] FROM generate_series(1, 4) AS n;
INSERT INTO agendamentos (paciente_id, medico_id, inicio, minutos, situacao, motivo)
SELECT 1 + n % 40, 1 + n % 4, timestamp '2024-01-01 09:00' + n * interval '1 day', 30, (ARRAY['agendado', 'concluido', 'cancelado', 'faltou'])[1 + n % 4], 'ألم'
FROM generate_series(1, 60) AS n;
INSERT INTO atendimentos (agendamento_id, paciente_id, medico_id, data_hora, diagnostico, conduta, anotacoes)
SELECT agendamento_id, paciente_id, medico_id, inicio, 'تشخيص', 'خطة', 'ملاحظة' FROM agendamentos WHERE situacao = 'concluido';
