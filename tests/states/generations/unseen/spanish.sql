-- A clinic's own system in Spanish, with prefixes before all: tables, keys and columns tell what they are in their names.

CREATE TABLE tbl_usuario (
  id_usuario serial PRIMARY KEY,
  usr_correo varchar(150) NOT NULL UNIQUE,
  usr_clave varchar(100) NOT NULL,
  usr_nombre_completo varchar(150),
  usr_rol varchar(20) NOT NULL,
  usr_activo boolean NOT NULL DEFAULT true,
  usr_fecha_alta timestamp NOT NULL DEFAULT now(),
  usr_ultimo_acceso timestamp
);
CREATE TABLE tbl_paciente (
  id_paciente serial PRIMARY KEY,
  pac_nro_historia varchar(15) NOT NULL UNIQUE,
  pac_nombre varchar(80) NOT NULL,
  pac_apellido varchar(80) NOT NULL,
  pac_fecha_nacimiento date,
  pac_sexo char(1),
  pac_correo varchar(150),
  pac_celular varchar(25),
  pac_direccion text,
  pac_contacto_emergencia varchar(120),
  pac_telefono_emergencia varchar(25),
  pac_antecedentes text,
  pac_alergias text,
  pac_grupo_sanguineo varchar(5),
  pac_fecha_registro timestamp NOT NULL DEFAULT now()
);
CREATE TABLE tbl_medico (
  id_medico serial PRIMARY KEY,
  fk_usuario integer REFERENCES tbl_usuario (id_usuario),
  med_nombre varchar(80) NOT NULL,
  med_apellido varchar(80) NOT NULL,
  med_especialidad varchar(80),
  med_matricula varchar(30),
  med_honorario numeric(8, 2),
  med_activo smallint NOT NULL DEFAULT 1
);
CREATE TABLE tbl_cita (
  id_cita serial PRIMARY KEY,
  fk_paciente integer NOT NULL REFERENCES tbl_paciente (id_paciente),
  fk_medico integer NOT NULL REFERENCES tbl_medico (id_medico),
  cit_fecha date NOT NULL,
  cit_hora time NOT NULL,
  cit_duracion_min integer NOT NULL DEFAULT 20,
  cit_estado varchar(15) NOT NULL,
  cit_observaciones text,
  cit_creado timestamp NOT NULL DEFAULT now()
);
CREATE TABLE tbl_consulta (
  id_consulta serial PRIMARY KEY,
  fk_cita integer REFERENCES tbl_cita (id_cita),
  fk_paciente integer NOT NULL REFERENCES tbl_paciente (id_paciente),
  fk_medico integer NOT NULL REFERENCES tbl_medico (id_medico),
  con_fecha_hora timestamp NOT NULL,
  con_diagnostico text,
  con_tratamiento text,
  con_notas text
);
CREATE TABLE tbl_reclamo (
  id_reclamo serial PRIMARY KEY,
  fk_paciente integer NOT NULL REFERENCES tbl_paciente (id_paciente),
  fk_cita integer REFERENCES tbl_cita (id_cita),
  rec_numero varchar(30) NOT NULL,
  rec_aseguradora varchar(80) NOT NULL,
  rec_monto numeric(10, 2) NOT NULL,
  rec_monto_aprobado numeric(10, 2),
  rec_estado varchar(15) NOT NULL,
  rec_fecha_envio timestamp
);

INSERT INTO tbl_usuario (usr_correo, usr_clave, usr_nombre_completo, usr_rol, usr_activo, usr_ultimo_acceso)
SELECT 'persona' || n || '@example.test', '$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'ريم الحربي ' || n,
       (ARRAY['administrador', 'medico', 'recepcion'])[1 + n % 3], n % 5 <> 0, timestamp '2024-02-01' + n * interval '1 day'
FROM generate_series(1, 20) AS n;
INSERT INTO tbl_paciente (pac_nro_historia, pac_nombre, pac_apellido, pac_fecha_nacimiento, pac_sexo, pac_correo, pac_celular,
                          pac_direccion, pac_contacto_emergencia, pac_telefono_emergencia, pac_antecedentes, pac_alergias,
                          pac_grupo_sanguineo)
SELECT 'HC-' || 1000 + n, 'جواهر', 'العنزي ' || n, date '1960-03-04' + n * 301, (ARRAY['M', 'F'])[1 + n % 2],
       'p' || n || '@example.test', '05000000' || n, 'شارع ' || n, 'لمى ' || n, '05000001' || n,
       CASE WHEN n % 3 = 0 THEN 'ضغط' END, CASE WHEN n % 4 = 0 THEN 'بنسلين' END, (ARRAY['A+', 'O-'])[1 + n % 2]
FROM generate_series(1, 40) AS n;
INSERT INTO tbl_medico (fk_usuario, med_nombre, med_apellido, med_especialidad, med_matricula, med_honorario, med_activo)
SELECT n, 'نورة', 'القحطاني ' || n, 'قلب', 'MP' || n, 100 + n, n % 2 FROM generate_series(1, 6) AS n;
INSERT INTO tbl_cita (fk_paciente, fk_medico, cit_fecha, cit_hora, cit_duracion_min, cit_estado, cit_observaciones)
SELECT 1 + n % 40, 1 + n % 6, date '2024-01-01' + n, time '09:00' + n % 8 * interval '1 hour', 20 + n % 3 * 10,
       (ARRAY['pendiente', 'confirmada', 'atendida', 'cancelada', 'ausente'])[1 + n % 5], 'ملاحظة ' || n
FROM generate_series(1, 80) AS n;
INSERT INTO tbl_consulta (fk_cita, fk_paciente, fk_medico, con_fecha_hora, con_diagnostico, con_tratamiento, con_notas)
SELECT id_cita, fk_paciente, fk_medico, cit_fecha + cit_hora, 'تشخيص ' || id_cita, 'خطة', NULL FROM tbl_cita WHERE cit_estado = 'atendida';
INSERT INTO tbl_reclamo (fk_paciente, fk_cita, rec_numero, rec_aseguradora, rec_monto, rec_monto_aprobado, rec_estado, rec_fecha_envio)
SELECT fk_paciente, id_cita, 'R-' || id_cita, 'بوبا', 200 + id_cita, CASE WHEN id_cita % 2 = 0 THEN 150 + id_cita END,
       (ARRAY['pendiente', 'aprobado', 'rechazado'])[1 + id_cita % 3], cit_fecha + time '12:00' FROM tbl_cita WHERE id_cita % 4 = 0;
