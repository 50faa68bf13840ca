# A customer on Perl's Net::SMPP: binds of each kind, a short message, long ones in three forms, receipts, and messages from
# handsets; a negative answer to data_sm, query_sm. Arguments: host:port, system_id, password, deliveries to wait for.
# Prints one line of JSON at its end.
use strict;
use warnings;
use JSON::PP;
use Net::SMPP;

my ($address, $system_id, $password, $wanted) = @ARGV;
my ($host, $port) = split /:/, $address;
my %done = (bound => [], accepted => 0, refused => [], deliveries => 0, receipts => 0, texts => []);

sub bound {
    my ($kind, $new) = @_;
    my ($smpp, $answer) = Net::SMPP->$new($host, port => $port, system_id => $system_id, password => $password);
    die "bind_$kind: " . ($answer ? $answer->status : 'no answer') unless $answer && $answer->status == 0;
    push @{$done{bound}}, $kind;
    return $smpp;
}

for my $kind (qw(transmitter receiver)) {
    my $smpp = bound($kind, "new_$kind");
    my $answer = $smpp->unbind or die "unbind of a $kind is not answered";
}
my $smpp = bound('transceiver', 'new_transceiver');
my @common = (
    source_addr => '12025550100', destination_addr => '12025550123', registered_delivery => 1, async => 1);
my $payload = 'p' x 600;
my %pending;
sub submit { my $sequence = $smpp->submit_sm(@common, @_); $pending{$sequence} = 'submit' }
submit(short_message => 'hello');
submit(esm_class => 0x40, short_message => pack('C6a*', 5, 0, 3, 7, 2, $_, 'u' x 100)) for 1, 2;
submit(
    short_message => 's' x 150,
    sar_msg_ref_num => pack('n', 7), sar_total_segments => pack('C', 2), sar_segment_seqnum => pack('C', $_)) for 1, 2;
submit(short_message => '', message_payload => $payload);
$pending{$smpp->data_sm(source_addr => '12025550100', destination_addr => '+', async => 1)} = 'refusal';
$pending{$smpp->query_sm(message_id => 'none', source_addr => '12025550100', async => 1)} = 'refusal';
while (%pending || $done{deliveries} < $wanted) {
    my $pdu = $smpp->read_pdu or die "the session ended";
    if ($pdu->cmd == Net::SMPP::CMD_deliver_sm) {
        $smpp->deliver_sm_resp(seq => $pdu->seq, message_id => '');
        $done{deliveries}++;
        if ($pdu->{esm_class} & 4) {
            $done{receipts}++;
        } else {
            push @{$done{texts}}, $pdu->{message_payload} // $pdu->{short_message};
        }
    } elsif ($pdu->cmd == Net::SMPP::CMD_enquire_link) {
        $smpp->enquire_link_resp(seq => $pdu->seq);
    } elsif (my $kind = delete $pending{$pdu->seq}) {
        die "submit_sm: " . $pdu->status if $kind eq 'submit' && $pdu->status != 0;
        if ($kind eq 'submit') { $done{accepted}++ } else { push @{$done{refused}}, $pdu->explain_status }
    } else {
        die "an answer that nobody waits for: " . $pdu->explain_cmd;
    }
}
$smpp->unbind or die "unbind is not answered";
print JSON::PP->new->ascii->encode(\%done), "\n";
