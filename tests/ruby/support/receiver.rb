# frozen_string_literal: true

require 'json'
require 'net/http'

module DynoscaleTests
  # tests/support/receiver.py as a child process, which ends with this one.
  class Receiver
    PROGRAM = File.expand_path('../../support/receiver.py', __dir__)

    def self.shared
      @shared ||= new.tap { |receiver| Minitest.after_run { receiver.stop } }
    end

    attr_reader :url

    def initialize(*arguments)
      python = ENV.fetch('PYTHON', 'python3')
      @pipe = IO.popen([python, PROGRAM, '--control', '--until-eof', *arguments], 'r+')
      @url = address('listening on ')
      @control = URI(address('control on '))
    end

    def stop
      @pipe.close
    end

    def reports
      ask(Net::HTTP::Get, 'reports')
    end

    def rows
      ask(Net::HTTP::Get, 'rows')
    end

    # The summary once all numbers are reached, such as rows: 3; fails after `seconds`.
    def wait(seconds: 10, **numbers)
      summary = ask(Net::HTTP::Get, "wait?#{URI.encode_www_form(numbers.merge(seconds: seconds))}")
      raise Minitest::Assertion, "the receiver has #{summary}, not #{numbers}" unless
        summary['reached']

      summary
    end

    def behave(mode, **details)
      ask(Net::HTTP::Post, 'behave', details.merge(mode: mode).to_json)
    end

    def clear
      ask(Net::HTTP::Post, 'clear')
    end

    private

    def address(before)
      line = @pipe.gets.to_s
      raise "the receiver did not start: #{line.inspect}" unless line.start_with?(before)

      line.delete_prefix(before).strip
    end

    def ask(method, command, body = nil)
      request = method.new("/_/#{command}")
      answer = Net::HTTP.start(@control.host, @control.port, read_timeout: 60) do |http|
        request.content_type = 'application/json'
        http.request(request, body)
      end
      raise "the receiver refused #{command}: #{answer.body}" unless answer.code == '200'

      JSON.parse(answer.body)
    end
  end
end
