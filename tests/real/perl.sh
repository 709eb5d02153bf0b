# Perl: hashes, strings that grow, regular expressions, sorting, fork and pipes.
# run: needs=perl pools=128M
export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
cat >program.pl <<'END'
use strict; use warnings;
my $state = 1;
sub any { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0] }
sub work {
    my ($seed) = @_;
    $state = $seed;
    my (%count, @lines, $all);
    for my $i (1 .. 8000) {
        my $line = join ' ', map { join '', map { chr(97 + any(7)) } 1 .. 1 + any(9) } 1 .. 1 + any(12);
        $all .= "$line\n";
        push @lines, $line;
        $count{$_}++ for split / /, $line;
    }
    my @found = $all =~ /\b([ab]+c?)\b/g;
    (my $changed = $all) =~ s/([aeg])(\w)/$2$1/g;
    my @sorted = sort { length $a <=> length $b or $a cmp $b } @lines;
    my %tree;
    push @{ $tree{ substr $_, 0, 1 }{ substr $_, -1 } }, $_ for @sorted;
    my $sum = 0;
    for my $x (sort keys %tree) { for my $y (sort keys %{ $tree{$x} }) { $sum = ($sum * 31 + @{ $tree{$x}{$y} }) % 1000003 } }
    return join ',', scalar(keys %count), scalar(@found), length $changed, unpack('%32C*', $changed), $sum, $sorted[4000];
}
print work(1), "\n";
for my $seed (2 .. 4) {
    my $pid = open(my $child, '-|') // die;
    if (!$pid) { print work($seed), "\n"; exit 0 }
    print "child: ", <$child>;
    close $child or die "child: $?";
}
my $long = '';
$long .= chr(65 + $_ % 26) x ($_ % 100) for 1 .. 50000;
print length $long, ' ', unpack('%32C*', $long), "\n";
END
under perl program.pl
