-- Tables, closures and strings in Lua: trees built and dropped, records in arrays,
-- text put together piece by piece.
local scale = tonumber(arg[1])

local function tree(depth)
  if depth == 0 then return { leaf = true } end
  return { left = tree(depth - 1), right = tree(depth - 1) }
end

local function count(t)
  return t.leaf and 1 or count(t.left) + count(t.right)
end

local nodes, kept = 0, {}
for i = 1, math.max(1, math.floor(26 * scale)) do
  local t = tree(13)
  nodes = nodes + count(t)
  kept[i % 4] = t
end

local rows, size = {}, 0
for i = 1, math.floor(200000 * scale) do
  rows[i % 9000 + 1] = { id = i, name = "row " .. i, next = function() return i end }
end
for _, row in ipairs(rows) do size = size + #row.name + row.next() % 7 end
print(nodes, #rows, size)
