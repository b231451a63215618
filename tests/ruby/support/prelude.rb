# frozen_string_literal: true

# For the scripts of script.rb: an app behind the middleware, and a request to it.

require 'dynoscale_ruby/middleware'

ANSWER = [200, {}, ['ok']].freeze

def middleware
  @middleware ||= DynoscaleRuby::Middleware.new(->(_env) { ANSWER })
end

# A request that has waited for so many ms.
def request(milliseconds = 250)
  start = (Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i - milliseconds
  middleware.call({ 'HTTP_X_REQUEST_START' => start.to_s })
end
