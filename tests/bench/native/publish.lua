-- wrk: queue-change of 1,000 environments in turn.
local number = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Token bench"
wrk.body = '{"updated_at":1735229888.76}'
request = function()
  number = number + 1
  return wrk.format(nil, "/sse/environments/env" .. (number % 1000) .. "/queue-change")
end
