# frozen_string_literal: true

require 'sinatra/base'

# Says how long its request waited.
class App < Sinatra::Base
  get '/' do
    content_type 'text/plain'
    waited = env.fetch('dynoscale.queue_time_ms', 'an unknown number of')
    "This request waited #{waited} ms for Sinatra.\n"
  end
end
