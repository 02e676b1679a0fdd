// The second population of `--flood`: certificates that nobody vouches for, each another one, and one that is refused over and over.
import tls from 'node:tls'
import { toPem } from '../bench/fixtures.mjs'

/** Handshakes a second, each with a certificate never seen before. */
const handshakesPerSecond = 100
/** Requests a second of one certificate that is refused, over a few connections. */
const repeatedPerSecond = 300
const repeatingConnections = 8
/** Handshakes that wait: a server that is behind is not asked for more. */
const handshakesAtOnce = 32

const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
const counts = { distinct: 0, repeated: 0, admitted: 0, failed: 0 }

process.on('disconnect', () => process.exit())
process.once('message', ({ port, key, certificate }) => {
  const template = Buffer.from(certificate, 'base64')
  // Octets of the signature, which is last: the certificate parses, names an issuer that is trusted, and is not signed by it.
  const garbage = (n) => {
    const der = Buffer.from(template)
    der.writeUInt32BE(n, der.length - 12)
    return toPem(der)
  }
  let next = 0
  let handshakes = 0
  const connect = (options = {}) =>
    tls
      .connect({ host: '127.0.0.1', port, rejectUnauthorized: false, key, cert: garbage(next++), ...options })
      .on('error', () => counts.failed++)
      .setNoDelay(true)
  const judge = (chunk) => {
    if (chunk.latin1Slice(9, 12) !== '403') counts.admitted++
  }

  const distinct = () => {
    if (handshakes >= handshakesAtOnce) return
    handshakes++
    const socket = connect()
    socket.on('close', () => handshakes--)
    socket.write(request)
    socket.on('data', (chunk) => {
      judge(chunk)
      counts.distinct++
      socket.destroy()
    })
  }
  const repeating = Array.from({ length: repeatingConnections }, () => {
    const connection = { socket: connect({ cert: garbage(0) }), isIdle: false }
    connection.socket.on('secureConnect', () => {
      connection.isIdle = true
    })
    connection.socket.on('data', (chunk) => {
      judge(chunk)
      counts.repeated++
      connection.isIdle = true
    })
    return connection
  })
  // Who is still waiting is passed over: Node ends a connection on which too many requests wait (HPE_PAUSED).
  const repeated = (turn) => {
    const connection = repeating[turn % repeating.length]
    if (!connection.isIdle) return
    connection.isIdle = false
    connection.socket.write(request)
  }

  const started = performance.now()
  const done = { distinct: 0, repeated: 0 }
  setInterval(() => {
    const seconds = (performance.now() - started) / 1_000
    for (; done.distinct < seconds * handshakesPerSecond; done.distinct++) distinct()
    for (; done.repeated < seconds * repeatedPerSecond; done.repeated++) repeated(done.repeated)
  }, 10)
  process.on('message', () => process.send(counts))
  process.send('flooding')
})
