# Hashes, arrays and strings in Perl: an index of words, split, sorted and joined.
use strict;
use warnings;

my $lines = int(60000 * shift);
my ($seed, %index, @kept) = (1);
for my $n (1 .. $lines) {
    my @words;
    for (1 .. 8) {
        $seed = ($seed * 1103515245 + 12345) % 2147483648;
        push @words, 'w' . ($seed >> 12);
    }
    my $line = join ' ', @words;
    push @{ $index{ substr $_, 0, 5 } }, $n for split / /, $line;
    push @kept, uc $line;
    shift @kept if @kept > 5000;
}
my @order = sort { @{ $index{$b} } <=> @{ $index{$a} } || $a cmp $b } keys %index;
print scalar(@order), " $order[0] ", length(join ',', @kept), "\n";
