/**
 * What a server of CRLs and OCSP responses can do wrong: one row each, with what a fetcher makes of it. The matrices of the checkers run over this
 * table, so that a fault added here is a case there.
 */

import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import type { FetchFailure } from '../../src/revocation/document-fetcher.js'

/** What arrives: the document, octets that are not the document (for whoever verifies it to refuse), or a failure. */
export type FaultOutcome = 'intact' | 'damaged' | FetchFailure

/** One connection that is to be answered. */
export interface Exchange {
  readonly socket: Socket
  readonly body: Uint8Array
  readonly contentType: string
}

export interface FaultRow {
  /** Several where the network decides which one is seen. */
  readonly outcomes: readonly FaultOutcome[]
  /** When the connection is there, before anything is read; nothing is answered then. */
  readonly onAccept?: (socket: Socket) => void
  /** When the request was read. */
  readonly onRequest?: (exchange: Exchange) => void
}

/** Milliseconds between two octets of what drips, and before a slow answer begins. */
export const dripMilliseconds = 10

const head = (status: string, ...fields: readonly string[]) =>
  `${[`HTTP/1.1 ${status}`, ...fields].join('\r\n')}\r\n\r\n`

/** The head of a good answer. */
export const goodHead = ({ body, contentType }: Omit<Exchange, 'socket'>, status = '200 OK'): string =>
  head(status, `Content-Type: ${contentType}`, `Content-Length: ${body.length}`, 'Connection: close')

const half = (body: Uint8Array) => body.subarray(0, body.length >> 1)

const chunk = (octets: Uint8Array | string) =>
  Buffer.concat([
    Buffer.from(`${octets.length.toString(16)}\r\n`),
    Buffer.from(octets as Uint8Array),
    Buffer.from('\r\n'),
  ])

const chunkedHead = head('200 OK', 'Transfer-Encoding: chunked', 'Connection: close')

/** Writes the same over and over, as fast as it is read, until the other side has enough. */
function endlessly(socket: Socket, text: string | Uint8Array): void {
  const piece = Buffer.concat(Array(Math.ceil(4_096 / text.length)).fill(Buffer.from(text as Uint8Array)))
  const write = () => {
    while (socket.writable && socket.write(piece)) if (socket.writableLength > 1 << 16) break
    if (socket.writable && socket.writableLength <= 1 << 16) setImmediate(write)
  }
  socket.on('drain', write)
  write()
}

/** One octet at a time; the last one never. */
function drip(socket: Socket, octets: Uint8Array | string): void {
  const rest = Buffer.from(octets as Uint8Array)
  let at = 0
  const timer = setInterval(() => {
    if (socket.writable && at < rest.length - 1) socket.write(rest.subarray(at, ++at))
  }, dripMilliseconds)
  socket.on('close', () => clearInterval(timer))
}

/** Sends it, and tears the connection down, with RST: the one under TLS where there is TLS. */
function reset(socket: Socket & { _parent?: Socket }, sent: string | Uint8Array = ''): void {
  const tear = () => (socket._parent ?? socket).resetAndDestroy()
  if (sent.length === 0) tear()
  else socket.write(sent, () => setTimeout(tear, dripMilliseconds))
}

const answers = (...outcomes: FaultOutcome[]) => ({
  with: (make: (exchange: Exchange) => string | Uint8Array | (string | Uint8Array)[]): FaultRow => ({
    outcomes,
    onRequest: (exchange) => {
      for (const part of [make(exchange)].flat()) exchange.socket.write(part)
      exchange.socket.end()
    },
  }),
  /** Sends it and keeps the connection open, silent. */
  andHangs: (make: (exchange: Exchange) => string | Uint8Array): FaultRow => ({
    outcomes,
    onRequest: (exchange) => {
      const sent = make(exchange)
      if (sent.length > 0) exchange.socket.write(sent)
    },
  }),
  by: (onRequest: (exchange: Exchange) => void): FaultRow => ({ outcomes, onRequest }),
  onAccept: (onAccept: (socket: Socket) => void): FaultRow => ({ outcomes, onAccept }),
})

const status = (line: string, ...fields: string[]): FaultRow =>
  answers(/^3(?!04)/.test(line) ? 'redirect' : 'status').with(({ body, contentType }) => [
    head(
      line,
      `Content-Type: ${contentType}`,
      ...(/^(204|304)/.test(line) ? [] : [`Content-Length: ${body.length}`]),
      ...fields,
    ),
    /^(204|304)/.test(line) ? '' : body,
  ])

/** 4 MiB in 4 KiB. */
const bomb = gzipSync(Buffer.alloc(1 << 22))
const html = '<!doctype html><title>Sign in to the guest network</title>'

const rows = {
  // The connection.
  'refuse-connection': { outcomes: ['connect'] },
  'reset-on-accept': answers('connect', 'truncated').onAccept((socket) => reset(socket)),
  'close-on-accept': answers('truncated').onAccept((socket) => socket.end()),
  'hang-on-accept': answers('timeout').onAccept(() => {}),
  'speak-first': answers('malformed').onAccept((socket) => socket.end('220 mail.example.test ESMTP\r\n')),

  // Before and within the header fields.
  'hang-before-answer': answers('timeout').andHangs(() => ''),
  'reset-before-answer': answers('truncated').by(({ socket }) => reset(socket)),
  'close-before-answer': answers('truncated').with(() => ''),
  'hang-in-status-line': answers('timeout').andHangs(() => 'HTTP/1.1 2'),
  'hang-in-headers': answers('timeout').andHangs(() => 'HTTP/1.1 200 OK\r\nContent-Le'),
  'drip-headers': answers('timeout').by((exchange) => drip(exchange.socket, goodHead(exchange))),
  'reset-in-headers': answers('truncated').by(({ socket }) => reset(socket, 'HTTP/1.1 200 OK\r\nContent-Le')),
  'close-in-headers': answers('truncated').with(() => 'HTTP/1.1 200 OK\r\nContent-Le'),
  'endless-reason-phrase': answers('too-large').by(({ socket }) => {
    socket.write('HTTP/1.1 200 ')
    endlessly(socket, 'OK')
  }),
  'endless-header': answers('too-large').by(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nX: ')
    endlessly(socket, 'x')
  }),
  'endless-headers': answers('too-large').by(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    endlessly(socket, 'X: x\r\n')
  }),
  'endless-interim-answers': answers('status').by(({ socket }) =>
    endlessly(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n'),
  ),
  'switching-protocols': answers('status').andHangs(() =>
    head('101 Switching Protocols', 'Upgrade: tls', 'Connection: upgrade'),
  ),
  'not-http': answers('malformed').with(() => 'SSH-2.0-OpenSSH_9.2\r\n'),
  'http-0.9': answers('malformed').with(({ body }) => body),

  // The status.
  'no-content': status('204 No Content'),
  'partial-content': status('206 Partial Content', 'Content-Range: bytes 0-1/9'),
  'moved-permanently': status('301 Moved Permanently', 'Location: /elsewhere'),
  found: status('302 Found', 'Location: /elsewhere'),
  'not-modified': status('304 Not Modified'),
  'temporary-redirect': status('307 Temporary Redirect', 'Location: /elsewhere'),
  'redirect-with-query': status('301 Moved Permanently', 'Location: https://crl.example.test/ca.crl?sig=s3cret'),
  'redirect-to-metadata': status('302 Found', 'Location: http://169.254.169.254/latest/meta-data/'),
  'bad-request': status('400 Bad Request'),
  unauthorized: status('401 Unauthorized', 'WWW-Authenticate: Basic realm="x"'),
  'not-found': status('404 Not Found'),
  'too-many-requests': status('429 Too Many Requests', 'Retry-After: 60'),
  'server-error': status('500 Internal Server Error'),
  unavailable: status('503 Service Unavailable'),

  // The length.
  'content-length-too-long': answers('truncated').with((exchange) => [
    head('200 OK', `Content-Length: ${exchange.body.length + 1}`),
    exchange.body,
  ]),
  // The octet too many is refused where it comes along with the others, and cut off where it comes later.
  'content-length-too-short': answers('damaged', 'malformed').with(({ body }) => [
    head('200 OK', `Content-Length: ${body.length - 1}`, 'Connection: close'),
    body,
  ]),
  'content-length-malformed': answers('malformed').with(({ body }) => [head('200 OK', 'Content-Length: many'), body]),
  'content-length-negative': answers('malformed').with(({ body }) => [head('200 OK', 'Content-Length: -1'), body]),
  'content-length-twice': answers('malformed').with(({ body }) => [
    head('200 OK', `Content-Length: ${body.length}`, `Content-Length: ${body.length + 1}`),
    body,
  ]),
  'content-length-and-chunks': answers('malformed').with(({ body }) => [
    head('200 OK', `Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'),
    chunk(body),
    chunk(''),
  ]),
  'content-length-huge': answers('too-large').andHangs(() => head('200 OK', 'Content-Length: 999999999999')),

  // Within the body.
  'hang-before-body': answers('timeout').andHangs((exchange) => goodHead(exchange)),
  'hang-in-body': answers('timeout').andHangs((exchange) =>
    Buffer.concat([Buffer.from(goodHead(exchange)), half(exchange.body)]),
  ),
  'drip-body': answers('timeout').by((exchange) => {
    exchange.socket.write(goodHead(exchange))
    drip(exchange.socket, exchange.body)
  }),
  'reset-in-body': answers('truncated').by((exchange) =>
    reset(exchange.socket, Buffer.concat([Buffer.from(goodHead(exchange)), half(exchange.body)])),
  ),
  'close-in-body': answers('truncated').with((exchange) => [goodHead(exchange), half(exchange.body)]),
  'reset-without-length': answers('truncated').by(({ socket, body }) =>
    reset(socket, Buffer.concat([Buffer.from(head('200 OK')), half(body)])),
  ),
  'close-in-chunks': answers('truncated').with(({ body }) => [chunkedHead, chunk(half(body))]),
  'malformed-chunk': answers('malformed').with(({ body }) => [chunkedHead, 'zz\r\n', body]),
  'endless-body': answers('too-large').by(({ socket }) => {
    socket.write(head('200 OK'))
    endlessly(socket, '0')
  }),
  'endless-chunks': answers('too-large').by(({ socket }) => {
    socket.write(chunkedHead)
    endlessly(socket, chunk('0'))
  }),
  'endless-chunk-extension': answers('too-large').by(({ socket }) => {
    socket.write(`${chunkedHead}1;`)
    endlessly(socket, 'x')
  }),
  'endless-trailers': answers('too-large').by(({ socket, body }) => {
    for (const part of [chunkedHead, chunk(body), '0\r\n']) socket.write(part)
    endlessly(socket, 'X: x\r\n')
  }),

  // The coding.
  gzip: answers('encoding').with(({ body, contentType }) => {
    const packed = gzipSync(body)
    return [
      head('200 OK', `Content-Type: ${contentType}`, 'Content-Encoding: gzip', `Content-Length: ${packed.length}`),
      packed,
    ]
  }),
  'gzip-bomb': answers('encoding').with(() => [head('200 OK', 'Content-Encoding: gzip'), bomb]),
  'gzip-transfer': answers('encoding').with(({ body }) => [
    head('200 OK', 'Transfer-Encoding: gzip, chunked'),
    chunk(gzipSync(body)),
    chunk(''),
  ]),

  // The document: whole answers, of the wrong octets.
  empty: answers('damaged').with(() => head('200 OK', 'Content-Length: 0')),
  garbage: answers('damaged').with(({ contentType }) => {
    const body = Buffer.from('0'.repeat(64))
    return [goodHead({ contentType, body }), body]
  }),
  html: answers('damaged').with(() => [
    head('200 OK', 'Content-Type: text/html', `Content-Length: ${html.length}`),
    html,
  ]),
  'cut-document': answers('damaged').with(({ body, ...rest }) => [goodHead({ ...rest, body: half(body) }), half(body)]),
  'cut-without-length': answers('damaged').with(({ body }) => [head('200 OK'), half(body)]),
  'trailing-octets': answers('damaged').with(({ body, ...rest }) => {
    const longer = Buffer.concat([body, Buffer.from('00', 'hex')])
    return [goodHead({ ...rest, body: longer }), longer]
  }),

  // Unusual, and right.
  slow: answers('intact').by((exchange) => {
    setTimeout(
      () => exchange.socket.end(Buffer.concat([Buffer.from(goodHead(exchange)), exchange.body])),
      dripMilliseconds,
    )
  }),
  'octet-chunks': answers('intact').with(({ body }) => [
    chunkedHead,
    ...Array.from(body, (octet) => chunk(Uint8Array.of(octet))),
    chunk(''),
  ]),
  'without-length': answers('intact').with(({ body }) => [head('200 OK'), body]),
  'http-1.0': answers('intact').with((exchange) => [goodHead(exchange).replace('HTTP/1.1', 'HTTP/1.0'), exchange.body]),
  'keep-alive': answers('intact').andHangs((exchange) =>
    Buffer.concat([
      Buffer.from(goodHead(exchange).replace('Connection: close', 'Connection: keep-alive')),
      exchange.body,
    ]),
  ),
  'interim-answer': answers('intact').with((exchange) => [
    'HTTP/1.1 103 Early Hints\r\n\r\n',
    goodHead(exchange),
    exchange.body,
  ]),
  'other-content-type': answers('intact').with((exchange) => [
    goodHead({ ...exchange, contentType: 'text/plain' }),
    exchange.body,
  ]),
  'identity-coding': answers('intact').with(({ body }) => [
    head('200 OK', 'Content-Encoding: identity', `Content-Length: ${body.length}`),
    body,
  ]),
} satisfies Record<string, FaultRow>

export type Fault = keyof typeof rows

export const faultTable: Readonly<Record<Fault, FaultRow>> = rows

/** Every fault, over http and https alike. */
export const faults = Object.keys(rows) as readonly Fault[]
