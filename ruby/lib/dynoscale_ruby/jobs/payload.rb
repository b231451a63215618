# frozen_string_literal: true

require 'json'

module DynoscaleRuby
  module Jobs
    # A job as Redis holds it, in JSON, of which no more than both ends are fetched: its arguments may
    # be of any size, and are nobody's business here. What says when and where a job waits stands
    # before or after them.
    class Payload
      # Bytes of each end.
      EDGE = 1024

      # Redis cuts the jobs by this function, for scripts that answer with them.
      CUT = <<~LUA
        local function cut(job)
          if #job <= #{2 * EDGE} then return {job} end
          return {job:sub(1, #{EDGE}), job:sub(-#{EDGE})}
        end
      LUA

      STRING = /"(?:[^"\\]|\\.)*"/mn.freeze

      # Some text of the beginning, and of the end where there is more.
      def initialize(head, tail = nil)
        @head = head.b
        @tail = tail&.b
        @whole = JSON.parse(head) unless tail
      rescue JSON::ParserError, EncodingError
        @whole = nil
      end

      # The value of one of the job's own keys: a String or a number; nil where there is none, or it
      # is too far from both ends.
      def [](key)
        return (@whole[key] if @whole.is_a?(Hash)) unless @tail

        value = in_head(key) || in_tail(key)
        value && JSON.parse("[#{value.force_encoding(Encoding::UTF_8)}]").first
      rescue JSON::ParserError, EncodingError
        nil
      end

      # A key's number, of epoch seconds for example, which some write as text.
      def number(key)
        value = self[key]
        value = Float(value, exception: false) if value.is_a?(String)
        value if value.is_a?(Numeric)
      end

      # The whole, where it was short enough to be fetched; nil else.
      attr_reader :whole

      # What the pattern, for the end of a job, finds there.
      def at_end(pattern)
        (@tail || @head).match(pattern)
      end

      private

      def places(text, key)
        pattern = /"#{Regexp.escape(key)}":\s*(#{STRING}|-?\d[\d.eE+-]*)(?=[,}\s])/mn
        from = 0
        while (found = text.match(pattern, from))
          yield found
          from = found.end(0)
        end
      end

      # It belongs to the job itself where one bracket more is open before it than closed.
      def in_head(key)
        places(@head, key) { |found| return found[1] if depth(found.pre_match) == 1 }
        nil
      end

      # And where one bracket more is closed behind it than opened.
      def in_tail(key)
        places(@tail, key) { |found| return found[1] if depth(found.post_match) == -1 }
        nil
      end

      def depth(text)
        text = text.gsub(STRING, '')
        text.count('{[') - text.count('}]')
      end
    end
  end
end
