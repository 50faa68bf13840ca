-- Records of messages and deliveries, one row each, a partition for each day (UTC) of `at`. The gateway makes partitions
-- ahead and drops old ones; rows come by COPY. The key is the record's own name, so that a batch that is sent again adds
-- nothing; `at` is in it because PostgreSQL wants the partition's column there.
create table cdr (
    version smallint not null,
    kind text not null,
    at timestamptz not null,
    node smallint not null,
    shard smallint not null,
    number bigint not null,
    gateway_id text,
    customer text,
    vendor text,
    vendors text,
    vendor_id text,
    source text,
    source_ton smallint,
    destination text,
    destination_ton smallint,
    reference bigint,
    sequence bigint,
    command text,
    data_coding smallint,
    esm_class smallint,
    part_reference integer,
    part_total smallint,
    part_number smallint,
    state text,
    refusal text,
    customer_status bigint,
    vendor_status bigint,
    copies smallint,
    possible_duplicate boolean,
    by_receipt boolean,
    tries integer,
    routed_us bigint,
    sent_us bigint,
    acknowledged_us bigint,
    ended_us bigint not null,
    receipt_state text,
    receipt_error bigint,
    receipt_final boolean,
    outcome text,
    was_parked boolean,
    primary key (at, node, shard, number)
) partition by range (at);

create index cdr_gateway_id on cdr (gateway_id);
create index cdr_vendor_id on cdr (vendor_id, vendor);
create index cdr_destination on cdr (destination, customer);
