# A vendor on Perl's Net::SMPP. Prints one line of JSON for each event: listening, bind, message, error, close.
# Each message that wants a receipt gets one.
use strict;
use warnings;
use JSON::PP;
use Net::SMPP;

$| = 1;
my $json = JSON::PP->new->ascii;
sub say_event { my ($event, %more) = @_; print $json->encode({ event => $event, %more }), "\n" }
# What the library does not like it says as a warning, also of parameters of a vendor's own and of an end in order.
$SIG{__WARN__} = sub { say_event('error', error => $_[0]) unless $_[0] =~ /Unknown tag|premature eof/ };

my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0) or die "no free port";
say_event('listening', port => $listener->sockport);
my $id = 0;
while (my $smpp = $listener->accept) {
    while (my $pdu = $smpp->read_pdu) {
        my ($name) = $pdu->{known_pdu} ? $pdu->explain_cmd : 'unknown';
        my @seq = (seq => $pdu->seq);
        if ($name =~ /^bind_(\w+)$/) {
            my $answer = "${name}_resp";
            $smpp->$answer(@seq, system_id => 'perl');
            say_event('bind', kind => $name);
        } elsif ($name eq 'submit_sm' || $name eq 'data_sm') {
            $id++;
            my $text = $pdu->{message_payload} // $pdu->{short_message} // '';
            say_event('message', command => $name, octets => length $text);
            my $answer = "${name}_resp";
            $smpp->$answer(@seq, message_id => "$id");
            receipt($smpp, $pdu, $id) if $pdu->{registered_delivery};
        } elsif ($name eq 'enquire_link' || $name eq 'unbind') {
            my $answer = "${name}_resp";
            $smpp->$answer(@seq);
        } elsif ($name !~ /_resp$/) {
            say_event('error', error => "$name was not expected");
        }
    }
    say_event('close');
}

sub receipt {
    my ($smpp, $message, $id) = @_;
    $smpp->deliver_sm(
        async => 1,
        source_addr => $message->{destination_addr},
        destination_addr => $message->{source_addr},
        esm_class => 4,
        short_message => "id:$id sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:",
        receipted_message_id => "$id\0",
        message_state => pack('C', 2));
}
