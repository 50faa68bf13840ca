-- Vendors whose receipts carry no number of the handset.

alter table vendors
    add receipt_addresses text not null default 'handset' check (receipt_addresses in ('handset', 'none'));
comment on column vendors.receipt_addresses is 'Whether its receipts carry the handset''s number';
