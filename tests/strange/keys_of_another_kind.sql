-- Keys of our columns that are not what ours are: no key of a later table could refer to the first.
ALTER TABLE insurance_claims DROP CONSTRAINT insurance_claims_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
ALTER TABLE doctors DROP CONSTRAINT doctors_user_id_key, ADD UNIQUE (user_id) DEFERRABLE;
