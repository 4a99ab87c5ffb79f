-- Every body is distinct: a running number leads 63 fixed ones.
local count = 0
local tail = {}
function init(_)
  math.randomseed(os.time())
  for place = 1, 63 do tail[place] = string.format("%.6f", math.random()) end
  rest = table.concat(tail, ",")
end
function request()
  count = count + 1
  local body = '{"request_id":"r' .. count .. '","input_data":[' .. count .. "." .. math.random(1000000) .. "," .. rest .. "]}"
  return wrk.format("POST", "/infer", {["Content-Type"] = "application/json"}, body)
end
