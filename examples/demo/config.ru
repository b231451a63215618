# frozen_string_literal: true

# The Rack app of the demo: a page that takes 50 ms, as if it waited for a database.
require 'dynoscale_ruby/middleware'

use DynoscaleRuby::Middleware

run lambda { |_env|
  sleep 0.05
  [200, { 'content-type' => 'text/plain' }, ["Hello from Rack\n"]]
}
