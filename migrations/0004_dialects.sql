-- Dialects: what is taken from customers too, and what vendors do not take.

alter table customers
    add dialect jsonb check (jsonb_typeof(dialect) in ('string', 'object'));
comment on column customers.dialect is 'How it deviates from the standard: "default", "strict", "tolerant", a preset file, or an object of tolerances';

alter table vendors
    add pdu_size_max integer check (pdu_size_max between 512 and 1048576),
    add strict_values boolean not null default false;
comment on column vendors.pdu_size_max is 'Longest PDU that it takes, bytes; longer messages are not tried there; NULL = whatever we take';
comment on column vendors.strict_values is 'It takes no reserved values of one-octet fields: messages with one are not tried there';
