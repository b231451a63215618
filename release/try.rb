# frozen_string_literal: true

# Ten requests through the installed gem, to a service of its own: all have to arrive.
#
#     ruby release/try.rb

require 'socket'
require 'dynoscale_ruby/middleware'

rows = []
service = TCPServer.new('127.0.0.1', 0)
Thread.new do
  loop do
    client = service.accept
    head = client.gets("\r\n\r\n")
    rows.concat(client.read(head[/^content-length: (\d+)/i, 1].to_i).lines)
    client.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    client.close
  end
end

DynoscaleRuby.configure do |c|
  c.url = "http://127.0.0.1:#{service.local_address.ip_port}/token"
  c.dyno = 'web.1'
end
app = DynoscaleRuby::Middleware.new(->(_) { [200, {}, ['hello']] })
10.times { app.call({ 'HTTP_X_REQUEST_START' => "t=#{Time.now.to_f - 0.02}" }) }
raise DynoscaleRuby.stats.inspect unless DynoscaleRuby.flush(timeout: 30)
raise rows.inspect unless rows.size == 10

puts "dynoscale_ruby #{DynoscaleRuby::VERSION} on #{RUBY_VERSION} #{RUBY_PLATFORM} reports"
