# frozen_string_literal: true

# Off by default: the app finds the queue time in its env, and browsers' tools show it.
DynoscaleRuby.configure do |config|
  config.queue_time = true
  config.server_timing = true
end
