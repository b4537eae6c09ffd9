# gcc, g++, as, ld and make: a C++ program of a hundred files, a tenth of them with the standard library.
#: packages: g++ make grep
#: chroot
#: time: 1200
fold='template <int N> struct Fold
{
    static unsigned long go(unsigned long x) { return Fold<N - 1>::go(x * 6364136223846793005ul + N); }
};
template <> struct Fold<0>
{
    static unsigned long go(unsigned long x) { return x; }
};'
for ((i = 0; i < 100; i++)); do
    if ((i % 10)); then
        echo "$fold"
        echo "unsigned long part$i(unsigned long s)
{
    unsigned long v[64];
    for (int k = 0; k < 64; k++)
        v[k] = Fold<$((i % 17 + 1))>::go(s + k);
    for (int k = 0; k < $i; k++)
        s = s * 31 + v[k % 64];
    return s;
}"
    else
        printf '#include <map>\n#include <string>\n%s\n' "$fold"
        echo "unsigned long part$i(unsigned long s)
{
    std::map<std::string, unsigned long> m;
    for (int k = 0; k < 50 + $i; k++)
        m[std::to_string(Fold<$((i % 17 + 1))>::go(s + k) % 101)] += k;
    for (auto &p : m)
        s = s * 37 + p.second + p.first.size();
    return s;
}"
    fi > f$i.cc
done
{
    echo '#include <cstdio>'
    for ((i = 0; i < 100; i++)); do echo "unsigned long part$i(unsigned long);"; done
    echo 'int main() { unsigned long s = 1;'
    for ((i = 0; i < 100; i++)); do echo "s = part$i(s);"; done
    echo 'std::printf("%lu\n", s); }'
} > main.cc
printf 'OBJS := main.o %s\nprog: $(OBJS)\n\tg++ -o $@ $^\n%%.o: %%.cc\n\tg++ -O1 -c -o $@ $<\n' \
    "$(printf 'f%d.o ' {0..99})" > Makefile
make -s -j2 || FAIL 'make'
is 'objects' "$(ls ./*.o | wc -l)" 101
# The same sources compiled for x86-64 print this.
is 'the program' "$(./prog)" 16963584172413278381
# An error is an error, and make says so.
echo 'int main() { return x; }' > main.cc
! make -s 2> errors || FAIL 'a bad program was compiled'
grep -q 'was not declared in this scope' errors || FAIL "$(cat errors)"
