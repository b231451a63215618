-- Waits before each request, so that the rate is about connections / (PAUSE_MS + latency).
local pause = tonumber(os.getenv("PAUSE_MS"))
function delay() return pause end
