-- One request over and over, read from a folder that benchmarks/bodies.py filled: `head` holds the headers, `before`
-- and `behind` the body around four bytes that differ from request to request where the file `distinct` is there.
local folder = os.getenv("BODY")
local function read(name)
  local file = io.open(folder .. "/" .. name, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end
local path, before, behind, distinct = read("path"), read("before"), read("behind"), read("distinct")
local headers = {}
for name, value in read("head"):gmatch("([^\n:]+): ([^\n]*)\n") do headers[name] = value end
local count = os.time() % 1000 * 100000
function request()
  local four = distinct or ""
  if distinct == "text" then
    count = count + 1
    four = string.format("%08d", count % 100000000)
  elseif distinct == "bytes" then
    count = count + 1
    four = string.char(count % 256, math.floor(count / 256) % 256, math.floor(count / 65536) % 256, 66)
  end
  return wrk.format("POST", path, headers, before .. four .. behind)
end
