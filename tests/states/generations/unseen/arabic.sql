-- A clinic's own system with Arabic words in Latin letters, as its makers spelled them.

CREATE TABLE mostakhdemeen (
  raqm serial PRIMARY KEY,
  bareed varchar(120) UNIQUE NOT NULL,
  kalimat_sir varchar(80),
  ism_kamel varchar(150),
  noo varchar(20) NOT NULL,
  mofaal smallint DEFAULT 1,
  tareekh_tasjeel timestamp DEFAULT now()
);
CREATE TABLE marda (
  raqm_mareed serial PRIMARY KEY,
  raqm_malaf varchar(12) UNIQUE NOT NULL,
  ism_awal varchar(60) NOT NULL,
  ism_aakher varchar(60),
  tareekh_milad date,
  jins varchar(8),
  jawwal varchar(20),
  bareed varchar(120),
  onwan text,
  tareekh_maradi text,
  hasasiya text,
  fasilat_dam varchar(4),
  tareekh_tasjeel timestamp DEFAULT now()
);
CREATE TABLE atibba (
  raqm_tabeeb serial PRIMARY KEY,
  raqm_mostakhdem integer REFERENCES mostakhdemeen (raqm),
  ism varchar(120) NOT NULL,
  takhasos varchar(60),
  raqm_rokhsa varchar(30),
  rasm_kashf numeric(8, 2),
  jawwal varchar(20),
  mofaal smallint DEFAULT 1
);
CREATE TABLE mawaeed (
  raqm_mawed serial PRIMARY KEY,
  raqm_mareed integer NOT NULL REFERENCES marda (raqm_mareed),
  raqm_tabeeb integer NOT NULL REFERENCES atibba (raqm_tabeeb),
  tareekh date NOT NULL,
  waqt time NOT NULL,
  modda integer DEFAULT 30,
  hala varchar(12) NOT NULL,
  molahazat text
);
CREATE TABLE zeyarat (
  raqm_zeyara serial PRIMARY KEY,
  raqm_mawed integer REFERENCES mawaeed (raqm_mawed),
  raqm_mareed integer NOT NULL REFERENCES marda (raqm_mareed),
  raqm_tabeeb integer NOT NULL REFERENCES atibba (raqm_tabeeb),
  tareekh_zeyara date NOT NULL,
  waqt_zeyara time NOT NULL,
  tashkhees text,
  khotat_elaj text,
  molahazat text
);
CREATE TABLE motalabat_tameen (
  raqm_motalaba serial PRIMARY KEY,
  raqm_mareed integer NOT NULL REFERENCES marda (raqm_mareed),
  sharikat_tameen varchar(60) NOT NULL,
  mablagh numeric(10, 2) NOT NULL,
  mablagh_moafaq numeric(10, 2),
  hala varchar(12) NOT NULL,
  tareekh_irsal date
);

INSERT INTO mostakhdemeen (bareed, kalimat_sir, ism_kamel, noo, mofaal)
SELECT 'm' || n || '@example.test', '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'ريم ' || n,
       (ARRAY['modeer', 'tabeeb', 'esteqbal'])[1 + n % 3], n % 2 FROM generate_series(1, 18) AS n;
INSERT INTO marda (raqm_malaf, ism_awal, ism_aakher, tareekh_milad, jins, jawwal, bareed, onwan, tareekh_maradi, hasasiya, fasilat_dam)
SELECT 'F' || 100 + n, 'لمى', 'العتيبي ' || n, date '1970-05-05' + n * 101, (ARRAY['dhakar', 'ontha'])[1 + n % 2], '05000000' || n,
       'w' || n || '@example.test', 'شارع ' || n, CASE WHEN n % 2 = 0 THEN 'ربو' END, CASE WHEN n % 5 = 0 THEN 'فول' END, 'B+'
FROM generate_series(1, 36) AS n;
INSERT INTO atibba (raqm_mostakhdem, ism, takhasos, raqm_rokhsa, rasm_kashf, jawwal, mofaal)
SELECT n, 'جواهر السبيعي ' || n, 'عيون', 'R' || n, 90 + n, '05', n % 2 FROM generate_series(1, 5) AS n;
INSERT INTO mawaeed (raqm_mareed, raqm_tabeeb, tareekh, waqt, modda, hala, molahazat)
SELECT 1 + n % 36, 1 + n % 5, date '2024-04-01' + n, time '16:00' + n % 4 * interval '30 minutes', 30,
       (ARRAY['mahjooz', 'mokammal', 'molgha', 'ghayeb'])[1 + n % 4], 'ملاحظة ' || n FROM generate_series(1, 72) AS n;
INSERT INTO zeyarat (raqm_mawed, raqm_mareed, raqm_tabeeb, tareekh_zeyara, waqt_zeyara, tashkhees, khotat_elaj, molahazat)
SELECT raqm_mawed, raqm_mareed, raqm_tabeeb, tareekh, waqt, 'تشخيص ' || raqm_mawed, 'خطة', NULL FROM mawaeed WHERE hala = 'mokammal';
INSERT INTO motalabat_tameen (raqm_mareed, sharikat_tameen, mablagh, mablagh_moafaq, hala, tareekh_irsal)
SELECT raqm_mareed, 'بوبا', 300 + raqm_mawed, CASE WHEN raqm_mawed % 2 = 0 THEN 250 + raqm_mawed END,
       (ARRAY['moallaq', 'maqbool', 'marfood'])[1 + raqm_mawed % 3], tareekh FROM mawaeed WHERE raqm_mawed % 6 = 0;
