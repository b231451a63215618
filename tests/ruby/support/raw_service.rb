# frozen_string_literal: true

require 'socket'

module DynoscaleTests
  # A service that answers each report with the bytes it is told, whatever they are.
  class RawService
    attr_accessor :answer

    def initialize
      @server = TCPServer.new('127.0.0.1', 0)
      @thread = Thread.new { loop { Thread.new(@server.accept) { |socket| serve(socket) } } }
      @thread.report_on_exception = false
    end

    def url
      "http://127.0.0.1:#{@server.addr[1]}/token"
    end

    # Answers with 200 and this body.
    def body=(body)
      self.answer = "HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\n\r\n".b + body
    end

    def stop
      @thread.kill.join
      @server.close
    end

    private

    def serve(socket)
      while (line = socket.gets)
        length = line.split.last.to_i if line.match?(/\AContent-Length:/i)
        next unless line == "\r\n"

        socket.read(length)
        socket.write(answer)
      end
    rescue SystemCallError, IOError
      nil # the agent hung up
    ensure
      socket.close
    end
  end
end
