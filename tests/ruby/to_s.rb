# Answers each line, a JSON number, with the text that resque-scheduler makes of it as a class or queue.
require 'json'

STDIN.each_line { |number| puts JSON.parse("[#{number}]").first.to_s }
