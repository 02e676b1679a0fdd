/** Clients for tests: Node's over every protocol, raw sockets, and the command-line tools of the world. */
import { execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import tls, { type SecureVersion } from 'node:tls'
import { test } from '@jest/globals'
import { afterThisTest, folder } from './servers.js'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
  /** The client's port: the same for two requests on one connection. */
  connection: number
}

interface Credentials {
  readonly tls: { readonly cert: string; readonly key: string }
}

export interface Call {
  path?: string
  method?: string
  headers?: Record<string, string | string[]>
}

/** Nobody here verifies the server: it is not what is tested. */
const trusting = { rejectUnauthorized: false, servername: 'localhost' } as const

export const json = ({ body }: Answer) => JSON.parse(body) as Record<string, unknown>

function ask(options: https.RequestOptions, { path = '/', method = 'GET', headers = {} }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.request({ ...trusting, host: '127.0.0.1', ...options, path, method, headers }, (response) => {
      const connection = response.socket.localPort ?? 0
      collect(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body, connection }),
        reject,
      )
    })
    request.on('error', reject)
    request.setTimeout(5_000, () => request.destroy(new Error('no answer in 5 s')))
    request.end()
  })
}

async function collect(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}

/** One request on a connection of its own. */
export function get(port: number, client?: Credentials, call: Call = {}, options: https.RequestOptions = {}) {
  return ask({ port, agent: false, ...client?.tls, ...options }, call)
}

/** Requests on one connection. */
export function keepAlive(port: number, client?: Credentials, options: https.AgentOptions = {}) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0, ...client?.tls, ...options })
  afterThisTest(() => agent.destroy())
  return (call: Call = {}) => ask({ port, agent }, call)
}

/** One request over plain HTTP. */
export function getPlain(port: number, { path = '/', method = 'GET', headers = {} }: Call = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      const connection = response.socket.localPort ?? 0
      collect(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body, connection }),
        reject,
      )
    })
    request.on('error', reject)
    request.end()
  })
}

export interface Handshake extends Call {
  client?: Credentials | undefined
  /** TLS 1.3 where not said otherwise. */
  version?: SecureVersion
  session?: Buffer | undefined
  host?: string
  ciphers?: string
}

/** One request over a connection whose session can be resumed afterwards. */
export async function handshake(port: number, { path = '/', method = 'GET', headers = {}, ...how }: Handshake = {}) {
  const { socket, established } = dial(port, how)
  let session: Buffer | undefined
  socket.on('session', (ticket) => {
    session = ticket
  })
  await established
  const reused = socket.isSessionReused()
  const fields = Object.entries({ host: 'localhost', connection: 'close', ...headers })
  socket.write(`${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
  const text = await collect(socket.setEncoding('latin1'))
  return { answer: parseAnswer(text), reused, session: session as Buffer | undefined }
}

function dial(
  port: number,
  { client, version = 'TLSv1.3', session, host = '127.0.0.1', ciphers }: Handshake,
  alpn?: string[],
) {
  const socket = tls.connect({
    ...trusting,
    host,
    port,
    ...client?.tls,
    minVersion: version,
    maxVersion: version,
    ...(session === undefined ? {} : { session }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
  })
  afterThisTest(() => socket.destroy())
  const established = new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  return { socket, established }
}

/** Reads the first answer of a connection that was closed after it. */
export function parseAnswer(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [line = '', ...fields] = head.split('\r\n')
  const headers: Answer['headers'] = {}
  for (const field of fields)
    headers[field.slice(0, field.indexOf(':')).toLowerCase()] = field.slice(field.indexOf(':') + 1).trim()
  const body = rest.join('\r\n\r\n')
  const isChunked = headers['transfer-encoding'] === 'chunked'
  return { status: Number(line.split(' ')[1] ?? 0), headers, body: isChunked ? dechunked(body) : body, connection: 0 }
}

function dechunked(body: string): string {
  const end = body.indexOf('\r\n')
  const length = Number.parseInt(body.slice(0, end), 16)
  return length > 0 ? body.slice(end + 2, end + 2 + length) + dechunked(body.slice(end + 4 + length)) : ''
}

/** An HTTP/2 connection. */
export async function connectHttp2(port: number, how: Handshake = {}) {
  const { socket, established } = dial(port, how, ['h2'])
  let ticket: Buffer | undefined
  socket.on('session', (each) => {
    ticket = each
  })
  await established
  const session = http2.connect('https://localhost', { createConnection: () => socket })
  session.on('error', () => {})
  afterThisTest(() => session.destroy())
  return {
    reused: socket.isSessionReused(),
    ticket: () => ticket,
    session,
    get: (call: Call = {}) => askHttp2(session, call),
  }
}

function askHttp2(
  session: http2.ClientHttp2Session,
  { path = '/', method = 'GET', headers = {} }: Call,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path, ':method': method, ...headers })
    stream.on('error', reject)
    stream.on('response', (fields) => {
      const { ':status': status = 0, ...rest } = fields
      collect(stream.setEncoding('utf8')).then(
        (body) => resolve({ status, headers: rest as Answer['headers'], body, connection: 0 }),
        reject,
      )
    })
    stream.end()
  })
}

/** Octets to a plain server, as they are; the answer when it closes the connection, or after 2 s. */
export async function raw(to: number | string, request: string | Buffer, host = '127.0.0.1'): Promise<Answer> {
  return parseAnswer(await rawText(to, request, host))
}

export async function rawText(to: number | string, request: string | Buffer, host = '127.0.0.1'): Promise<string> {
  const socket = typeof to === 'string' ? net.connect(to) : net.connect(to, host)
  socket.setTimeout(2_000, () => socket.destroy())
  socket.on('error', () => {})
  socket.write(request, 'latin1' as never)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
  })
  await new Promise((resolve) => socket.on('close', resolve))
  return text
}

/** A raw GET with these header lines, the connection closed after it. */
export const lines = (...fields: string[]) =>
  `${['GET / HTTP/1.1', 'Host: localhost', ...fields].join('\r\n')}${fields.some((field) => /^connection:/i.test(field)) ? '' : '\r\nConnection: close'}\r\n\r\n`

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** Runs a program to its end. */
export function run(
  command: string,
  args: readonly string[],
  { input = '', cwd }: { input?: string; cwd?: string } = {},
) {
  return new Promise<Ran>((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, LC_ALL: 'C' }, ...(cwd === undefined ? {} : { cwd }) })
    const ran: Ran = { code: -1, stdout: '', stderr: '' }
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
    child.stdout.on('data', (chunk) => {
      ran.stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      ran.stderr += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ ...ran, code: code ?? -1 })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

/**
 * `test` where a tool is there. Where it is missing, the test is skipped by name on a developer's machine, and fails in CI, so that nobody
 * takes a suite for green that ran half.
 */
export function requireTool(
  command: string,
  ...probe: string[]
): (name: string, body: () => Promise<void>, timeout?: number) => void {
  try {
    execFileSync(command, probe, { stdio: 'ignore', timeout: 10_000 })
    return test
  } catch {
    const missing = `${command} ${probe.join(' ')} does not run`
    if (!process.env.CI) return (name) => test.skip(`${name} (${missing})`, () => {})
    return (name) =>
      test(name, () => {
        throw new Error(`CI must have it: ${missing}`)
      })
  }
}

let files = 0

/** A file in this suite's folder. */
export function fileOf(content: string | Uint8Array, extension = 'pem'): string {
  const path = join(folder, `${files++}.${extension}`)
  writeFileSync(path, content)
  return path
}

/** A credential on disk, as command-line tools want it. */
export function filesOf({ tls }: Credentials): { cert: string; key: string } {
  return { cert: fileOf(tls.cert), key: fileOf(tls.key) }
}
