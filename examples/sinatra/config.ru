# frozen_string_literal: true

require 'dynoscale_ruby/middleware'
require_relative 'app'

# Off by default: the app finds the queue time in its env, and browsers' tools show it.
DynoscaleRuby.configure do |config|
  config.queue_time = true
  config.server_timing = true
end

use DynoscaleRuby::Middleware
run App
