# frozen_string_literal: true

# What runs in a Child: code comes on standard input, answers leave on the third descriptor, and
# standard output is free for what the libraries print.
answers = IO.for_fd(3)
answers.close_on_exec = true

# What the other process can make something of: it has not loaded what this one has.
PLAIN = lambda do |value|
  case value
  when Array then value.map(&PLAIN)
  when Hash then value.to_h { |name, one| [PLAIN.call(name), PLAIN.call(one)] }
  when String then String.new(value)
  when Integer, Float, Symbol, true, false then value
  end
end

until $stdin.eof?
  answer = begin
    code = Marshal.load($stdin) # rubocop:disable Security/MarshalLoad
    [PLAIN.call(TOPLEVEL_BINDING.eval(code)), nil]
  rescue StandardError, ScriptError => e
    [nil, "#{e.class}: #{e.message}\n#{e.backtrace.first(12).join("\n")}"]
  end
  answers.write(Marshal.dump(answer))
  answers.flush
end
