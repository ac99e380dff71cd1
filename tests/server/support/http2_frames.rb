# frozen_string_literal: true

# Frames of HTTP/2, for tests that need more control of them than other clients give.
module HTTP2Frames
  # What a client sends first: the preface and empty settings.
  def preface
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n#{frame(4, 0, 0)}"
  end

  def frame(type, flags, stream, payload = "")
    [payload.bytesize].pack("N").byteslice(1, 3) + [type, flags, stream].pack("CCN") + payload.b
  end
end
