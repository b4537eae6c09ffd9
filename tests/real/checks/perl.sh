# perl: numbers, strings, regular expressions, sorting, fork, pipes, signals, sockets.
#: packages: perl coreutils
#: native
#: quick
#: time: 120
cat > t.pl <<'E'
use strict; use warnings; use POSIX; use Socket; use List::Util qw(sum shuffle reduce); use Digest::SHA qw(sha256_hex);
use Time::HiRes qw(ualarm usleep); use Storable qw(freeze thaw); use Math::BigInt;
$| = 1;
printf "%.17g %.17g %.17g %d\n", sin(1), exp(1), 2 ** 0.5, 2 ** 52 + 1;
printf "%s %s %s\n", 1e308 * 10, -sin(9 ** 9 ** 9), 0x7fffffffffffffff + 1;
print Math::BigInt->new(2)->bpow(400), "\n";
my %h; $h{$_ % 1000} .= $_ for 1 .. 50000;
print sha256_hex(join ",", map { "$_=$h{$_}" } sort keys %h), "\n";
my $s = join ' ', map { $_ * 7919 % 1009 } 1 .. 5000;
my @m = $s =~ /\b(\d)(\d)\1\b/g; print scalar(@m), "\n";
(my $u = $s) =~ s/(\d+)/sprintf("%x", $1)/ge; print sha256_hex($u), "\n";
print join(",", (sort { $a <=> $b } map { ($_ * 48271) % 65537 } 1 .. 2000)[0, 500, 1999]), "\n";
print "\x{e9}t\x{e9}" =~ /^\w+$/ ? "word\n" : "no\n"; print pack("q>dw/a", -5, 1.5, "abc") eq "" ? 0 : unpack("H*", pack("q>d>w", -5, 1.5, 300)), "\n";
my $n = 0; $SIG{ALRM} = sub { $n++ }; ualarm(2000, 2000); my $x = 0; while ($n < 50) { $x++ } ualarm(0); print "alarms\n";
$SIG{CHLD} = 'DEFAULT';
my @pids; for my $i (1 .. 10) { my $p = fork; if (!$p) { exit $i } push @pids, $p }
print join(" ", map { waitpid($_, 0); $? >> 8 } @pids), "\n";
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
if (!fork) { close $a; while (my $l = <$b>) { syswrite $b, uc $l } exit 0 }
close $b; syswrite $a, "through\n"; print scalar <$a>; shutdown $a, 1; wait; print "child $?\n";
socket(my $srv, PF_INET, SOCK_STREAM, 0) or die; bind($srv, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($srv, 5);
my ($port) = sockaddr_in(getsockname $srv);
if (!fork) { socket(my $c, PF_INET, SOCK_STREAM, 0); connect($c, sockaddr_in($port, INADDR_LOOPBACK)) or die; print $c "x" x 100000; close $c; exit 0 }
accept(my $c, $srv); my $got = join '', <$c>; print length($got), "\n"; wait;
print thaw(freeze({ a => [1, 2, { b => 3 }] }))->{a}[2]{b}, "\n";
local $SIG{USR1} = sub { die "jump\n" }; eval { kill USR1 => $$; usleep 1e6; }; print "caught $@";
print strftime("%F %T", gmtime 1234567890), " ", mktime(0, 0, 0, 1, 0, 100) ? "mktime\n" : "";
open my $p, '-|', 'echo one; echo two; exit 3' or die; print <$p>; close $p; print $? >> 8, "\n";
my $sub = 'sub { ' . join('+', 1 .. 500) . ' }'; print eval($sub)->(), "\n";
sub fib { my $n = shift; $n < 2 ? $n : fib($n - 1) + fib($n - 2) } print fib(17), "\n";
E
perl t.pl
