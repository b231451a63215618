# frozen_string_literal: true

# Sinatra's classic style: the server lives in an at_exit block of Sinatra's. The app is built while
# the file loads, so that the agent's own at_exit block runs before the server does.
require 'sinatra'
require 'dynoscale_ruby/middleware'

set :bind, '127.0.0.1'
set :port, Integer(ARGV.fetch(0))
set :server, ARGV.fetch(1)
set :environment, :production

use DynoscaleRuby::Middleware

%w[get post].each do |verb|
  send(verb, '/*') do
    request.body.read
    content_type 'text/plain'
    "hello\n"
  end
end

Sinatra::Application.new
