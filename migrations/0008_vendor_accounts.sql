-- Several entries of one account at an SMSC, such as one with transmitters and one with receivers.

alter table vendors
    add account text check (account <> '' and octet_length(account) <= 64);
comment on column vendors.account is 'Its account at the SMSC, where other entries share it; NULL = its own name';
