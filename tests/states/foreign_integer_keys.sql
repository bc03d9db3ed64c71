-- Another product's database: the same table names, integer keys, and a few habits of its own. To be refused whole.

CREATE TABLE users (
  id bigserial PRIMARY KEY,
  email varchar(255) UNIQUE NOT NULL,
  name varchar(255),
  role varchar(50) DEFAULT 'user',
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);
CREATE TABLE patients (
  id serial PRIMARY KEY,
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL,
  email varchar(255) UNIQUE,
  created_at timestamp DEFAULT now(),
  updated_at timestamp DEFAULT now()
);
CREATE TABLE doctors (
  id serial PRIMARY KEY,
  user_id bigint UNIQUE REFERENCES users(id),
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL
);
CREATE TABLE appointments (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  patient_id integer NOT NULL REFERENCES patients(id),
  doctor_id integer NOT NULL REFERENCES doctors(id),
  appointment_date date NOT NULL,
  appointment_time time NOT NULL,
  duration integer DEFAULT 30,
  status varchar(50) DEFAULT 'scheduled'
);

INSERT INTO users (email, name) SELECT 'user' || n || '@example.test', 'مستخدم ' || n FROM generate_series(1, 5) AS n;
INSERT INTO patients (first_name, last_name) SELECT 'مريض', 'رقم ' || n FROM generate_series(1, 7) AS n;
INSERT INTO doctors (user_id, first_name, last_name) SELECT n, 'طبيب', 'رقم ' || n FROM generate_series(1, 3) AS n;
INSERT INTO appointments (patient_id, doctor_id, appointment_date, appointment_time)
SELECT n, 1 + n % 3, date '2024-01-01' + n, '09:00' FROM generate_series(1, 7) AS n;
