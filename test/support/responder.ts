/** A server of CRLs and OCSP responses on loopback, which answers well until it is told to misbehave. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import tls from 'node:tls'
import { afterEach } from '@jest/globals'
import { type Fault, faultTable, goodHead } from './responder-faults.js'

export * from './responder-faults.js'

/** A request as it was read. */
export interface ReceivedRequest {
  readonly method: string
  /** Path and query, as they were sent. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** What the TLS client named (SNI); false where it named nobody. */
  readonly servername: string | false | undefined
}

export interface ResponderOptions {
  /** The document, or who makes it for each request. Default: 64 octets. */
  answer?: Uint8Array | ((request: ReceivedRequest) => Uint8Array | Promise<Uint8Array>)
  /** Default `application/octet-stream`. */
  contentType?: string
  /** Further lines for the head of good answers: `Cache-Control: max-age=60`. */
  headers?: readonly string[]
  fault?: Fault
  /** Key and certificate: it speaks https. */
  tls?: { readonly key: string; readonly cert: string }
  /** Default 127.0.0.1. */
  host?: string
}

export interface Responder {
  /** `http://127.0.0.1:PORT`, without a final slash. */
  readonly url: string
  readonly port: number
  /** All that were read, in order. */
  readonly requests: readonly ReceivedRequest[]
  /** How many connections there were, and how many there are. */
  readonly accepted: number
  readonly open: number
  /** The most there were at once. */
  readonly mostOpen: number
  answer: NonNullable<ResponderOptions['answer']>
  /** From the next connection on. `undefined`: it behaves. */
  misbehave(fault: Fault | undefined): Promise<void>
  /** Resolves when the number of open connections has become this. */
  settled(open?: number): Promise<void>
  close(): Promise<void>
}

const running = new Set<Responder>()
const holes: (() => void)[] = []
afterEach(async () => {
  for (const close of holes.splice(0)) close()
  await Promise.all([...running].map((responder) => responder.close()))
})

/** Starts one; it is closed, and all its connections cut, after the test. */
export async function startResponder(options: ResponderOptions = {}): Promise<Responder> {
  const { contentType = 'application/octet-stream', headers = [], host = '127.0.0.1' } = options
  const sockets = new Set<Socket>()
  const requests: ReceivedRequest[] = []
  let { fault } = options
  let accepted = 0
  let mostOpen = 0

  const serve = (socket: Socket, current: Fault | undefined) => {
    const { onAccept, onRequest } = current === undefined ? {} : faultTable[current]
    if (onAccept !== undefined) return onAccept(socket.resume())
    readRequest(socket, async (request) => {
      requests.push(request)
      const answer = responder.answer
      const body = typeof answer === 'function' ? await answer(request) : answer
      if (socket.destroyed) return
      const exchange = { socket, body, contentType }
      if (onRequest !== undefined) return onRequest(exchange)
      const extra = headers.map((line) => `${line}\r\n`).join('')
      socket.write(goodHead(exchange).replace(/\r\n\r\n$/, `\r\n${extra}\r\n`))
      socket.end(body)
    })
  }
  const server = options.tls
    ? tls.createServer(options.tls, (socket) => serve(socket, fault))
    : net.createServer((socket) => serve(socket, fault))
  server.on('tlsClientError', () => {})
  server.on('connection', (socket: Socket) => {
    accepted++
    sockets.add(socket)
    mostOpen = Math.max(mostOpen, sockets.size)
    socket.on('close', () => sockets.delete(socket))
  })
  for (const event of ['connection', 'secureConnection']) {
    server.on(event, (socket: Socket) => socket.on('error', () => {}))
  }

  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, 4_096, resolve)
    })
  const stop = () => new Promise<void>((resolve) => (server.listening ? server.close(() => resolve()) : resolve()))
  await listen(0)
  const { port } = server.address() as AddressInfo

  const responder: Responder = {
    url: `${options.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    requests,
    get accepted() {
      return accepted
    },
    get open() {
      return sockets.size
    },
    get mostOpen() {
      return mostOpen
    },
    answer: options.answer ?? Buffer.alloc(64, 'document'),
    async misbehave(next) {
      if (next === 'refuse-connection') {
        const stopped = stop()
        for (const socket of sockets) socket.destroy()
        await stopped
      } else if (!server.listening) await listen(port)
      fault = next
    },
    async settled(open = 0) {
      while (sockets.size !== open) await new Promise((resolve) => setTimeout(resolve, 2))
    },
    async close() {
      running.delete(responder)
      const stopped = stop()
      for (const socket of sockets) socket.destroy()
      await stopped
    },
  }
  running.add(responder)
  if (fault !== undefined) await responder.misbehave(fault)
  return responder
}

/**
 * A host that no connection gets through to, as behind a firewall that drops: its queue of connections is full, and nobody takes any out. On Linux.
 */
export async function startBlackHole(): Promise<{ readonly url: string }> {
  const program = `require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
    require('fs').writeSync(1, this.address().port + ' ')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000)
  })`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const fillers: Socket[] = []
  holes.push(() => {
    for (const socket of fillers) socket.destroy()
    child.kill('SIGKILL')
  })
  const [port] = await once(child.stdout, 'data')
  for (let isFull = false; !isFull; ) {
    const socket = net.connect(Number(port), '127.0.0.1')
    fillers.push(socket.on('error', () => {}))
    isFull = await Promise.race([
      once(socket, 'connect').then(() => false),
      new Promise<boolean>((resolve) => setTimeout(resolve, 50, true)),
    ])
  }
  return { url: `http://127.0.0.1:${Number(port)}` }
}

/** Reads one request: a head, and as many octets as its Content-Length says. */
function readRequest(socket: Socket, done: (request: ReceivedRequest) => void): void {
  let read = Buffer.alloc(0)
  const onData = (data: Buffer) => {
    read = Buffer.concat([read, data])
    const end = read.indexOf('\r\n\r\n')
    if (end < 0) return
    const [first = '', ...lines] = read.subarray(0, end).toString('latin1').split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const length = Number(headers['content-length'] ?? 0)
    const body = read.subarray(end + 4)
    if (body.length < length) return
    socket.off('data', onData)
    socket.resume()
    const [method = '', path = ''] = first.split(' ')
    done({ method, path, headers, body, servername: (socket as tls.TLSSocket & { servername?: string }).servername })
  }
  socket.on('data', onData)
}
