-- SMPP 3.3, and address ranges of binds.

alter table customers
    add interface_version text not null default 'as_bound' check (interface_version in ('as_bound', '0x33', '0x34')),
    add address_range text not null default 'ignore' check (address_range in ('ignore', 'prefer', 'require'));
comment on column customers.interface_version is 'Which SMPP is spoken to it: what its bind says, or 3.3 or 3.4 whatever it says';
comment on column customers.address_range is 'What the address_range of its binds decides about messages from handsets';

alter table vendors
    add interface_version text not null default '0x34' check (interface_version in ('0x33', '0x34')),
    add addr_ton integer not null default 0 check (addr_ton between 0 and 255),
    add addr_npi integer not null default 0 check (addr_npi between 0 and 255),
    add address_range text not null default '' check (octet_length(address_range) <= 40);
comment on column vendors.interface_version is 'What our bind says, and which SMPP is spoken then';
comment on column vendors.address_range is 'address_range of our bind; some give no receipts or handsets'' messages without one';
