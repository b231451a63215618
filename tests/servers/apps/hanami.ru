# frozen_string_literal: true

# Hanami's router and actions, as a Rack app.
require 'hanami/action'
require 'hanami/router'
require 'dynoscale_ruby/middleware'

# Answers every request, once it has read it.
class Show < Hanami::Action
  def handle(request, response)
    request.env['rack.input'].read
    response.body = "hello\n"
  end
end

use DynoscaleRuby::Middleware

run(Hanami::Router.new do
  root to: Show.new
  post '/', to: Show.new
end)
