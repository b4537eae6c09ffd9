# lua5.4: strings, tables, coroutines, the collector, floating point.
#: packages: lua5.4 coreutils
#: native
#: quick
#: time: 60
cat > t.lua <<'E'
local t = {} for i = 1, 20000 do t[i] = (i * 7919) % 20011 end table.sort(t) print(t[1], t[10000], t[20000])
local s = {} for i = 1, 3000 do s[#s + 1] = string.format("%x:%5.2f", i * i, math.sin(i)) end
local all = table.concat(s, ",") print(#all, all:sub(1000, 1040), select(2, all:gsub("(%x+):", "%1")))
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
local sum = 0 for i in gen(20000) do sum = sum + i end print(sum)
local weak = setmetatable({}, { __mode = "k" }) for i = 1, 20000 do weak[{}] = i end collectgarbage() print(next(weak))
print(math.maxinteger + 1 == math.mininteger, 7 // -2, 7 % -2, 7.5 // 2, 1e15, 2^53, -0.0, 1/0, 0x.8p1, 3 | 4 ~ 1)
print(pcall(function() local x = nil; return x.y end)) print(select("#", table.unpack({}, 1, 250)))
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end print(fib(24))
print(pcall(string.rep, "x", 1 << 40)) print(string.pack("<i8d", -2, 0.1):byte(1, 16)) print(utf8.char(8364, 128512))
local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end print(deep(15000), (pcall(deep, 1e7)))
E
lua5.4 t.lua
