-- Receivers that a vendor has beside its transmitters.

alter table vendors
    add receivers integer not null default 0 check (receivers between 0 and 1000),
    add receivers_total integer check (receivers_total between 1 and 1000),
    add constraint vendors_receivers
        check (bind_kind <> 'receiver' or (receivers = 0 and receivers_total is null));
comment on column vendors.receivers is 'Receivers of each node beside binds';
comment on column vendors.receivers_total is 'The same of all nodes together, leased from Redis; NULL = receivers counts for each node';
