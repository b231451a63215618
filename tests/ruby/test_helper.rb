# frozen_string_literal: true

# Run all: `rake test`. Run one: `ruby -Iruby/lib -Itests/ruby tests/ruby/settings_test.rb`.

require 'minitest/autorun'
require 'minitest/mock'

# A setting of whoever runs the tests is none of theirs.
ENV.delete_if { |name, _| name.match?(/DYNOSCALE|\ADYNO\z|HEROKU_APP_NAME|_proxy\z/i) }

require 'dynoscale_ruby/middleware'
require_relative 'support/receiver'
require_relative 'support/recorded_logger'
require_relative 'support/script'
require_relative 'support/signals'

module DynoscaleTests
  ROOT = File.expand_path('../..', __dir__)
  ANSWER = [200, { 'content-type' => 'text/plain' }.freeze, ['ok'].freeze].freeze
  APP = ->(_env) { ANSWER }

  # An agent in this process that reports to the receiver; off again after each test.
  class AgentTest < Minitest::Test
    def setup
      receiver.clear
      receiver.behave('ok')
      @logger = RecordedLogger.new
    end

    # Off again, with nothing on its way any more that the next test could get.
    def teardown
      DynoscaleRuby.stop(timeout: 0)
      2.times { configure(skip: true) } # what the first one still had to warn of is forgotten
    end

    def receiver
      Receiver.shared
    end

    # Each test an account of its own, and so an agent of its own.
    def url
      "#{receiver.url}/#{self.class.name}/#{name}"
    end

    # What is not named here is not given.
    def configure(**values)
      DynoscaleRuby.configure do |settings|
        DynoscaleRuby::Settings::TABLE.each_key { |name| settings.give(name, values[name], :code) }
        settings.logger = values.fetch(:logger, @logger)
      end
    end

    def start_agent(**values)
      configure(url: url, dyno: 'web.1', **values)
    end

    def middleware
      @middleware ||= DynoscaleRuby::Middleware.new(APP)
    end

    # The text of a stamp that many ms ago.
    def stamp(milliseconds_ago)
      ((Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i - milliseconds_ago).to_s
    end

    def request(milliseconds_ago = 250, **more)
      middleware.call({ 'HTTP_X_REQUEST_START' => stamp(milliseconds_ago) }.merge(more))
    end

    def stats
      DynoscaleRuby.stats
    end

    # Why the only request so far gave no sample, :recorded if it gave one.
    def outcome
      counted = stats.select do |name, count|
        count.positive? && (name == :recorded || name.start_with?('stamp_'))
      end
      assert_equal [1], counted.values, 'one request is counted once'
      counted.keys.first.to_s.delete_prefix('stamp_').to_sym
    end

    # The queue times that the receiver got.
    def metrics
      receiver.rows.map { |row| row['metric'] }
    end

    def assert_flushed
      assert DynoscaleRuby.flush(timeout: 10), "flush failed: #{stats} #{@logger.lines}"
    end

    def wait_until(what, seconds: 120)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
      until yield
        flunk "not within #{seconds} s: #{what}" if
          Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        sleep 0.01
      end
    end
  end
end
