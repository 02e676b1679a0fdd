import { lookup } from 'node:dns/promises'
import http, { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import { shownUrl } from '../description.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { FetchError, type FetchFailure, type FetchPhase } from './fetch-error.js'
import type { FetchUrl } from './fetch-url.js'

/** One request for one document. */
export interface Exchange {
  readonly target: FetchUrl
  /** Where to connect to: the host's name plays no part in it. */
  readonly addresses: readonly string[]
  readonly method: 'GET' | 'POST'
  readonly body: Uint8Array | undefined
  readonly contentType: string | undefined
  readonly accept: string
  readonly maximumBytes: number
  /** Asked for https only. */
  readonly secureContext: () => SecureContext
  /** Ends it; its reason is what the exchange rejects with. */
  readonly signal: AbortSignal
  readonly enter: (phase: FetchPhase) => void
}

export interface Answer {
  readonly bytes: Uint8Array
  readonly headers: IncomingHttpHeaders
}

/** The addresses of a host as the system resolves it: /etc/hosts counts, as it does for everything else on this machine. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: 'verbatim' })
  return found.map(({ address }) => address)
}

/** What servers are verified with: `ca`, in PEM, instead of Node's roots. */
export function trustForServers(ca: readonly string[] | undefined): SecureContext {
  return createSecureContext({ minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca: [...ca] }) })
}

/**
 * Asks once, over a connection of its own, which is gone when this settles. Rejects with {@link FetchError}. It keeps to the deadline by `signal`
 * alone, so that no octet a server sends wins it time.
 */
export function exchange(order: Exchange): Promise<Answer> {
  const { target, signal } = order
  return new Promise<Answer>((resolve, reject) => {
    signal.throwIfAborted()
    let phase: FetchPhase = 'connect'
    order.enter(phase)
    const request = send(order)
    let connection: Socket | undefined
    let isOver = false
    const over = (settle: () => void) => {
      if (isOver) return
      isOver = true
      signal.removeEventListener('abort', stop)
      request.destroy()
      // From Node 26 on, a request that became an upgrade no longer ends its connection.
      connection?.destroy()
      settle()
    }
    const fail: Fail = (failure, reason, facts) =>
      over(() => reject(new FetchError(failure, target.href, reason, { phase, ...facts })))
    const failWith = (error: NodeJS.ErrnoException) => {
      fail(...failureOf(error, phase), error.code === undefined ? {} : { code: error.code })
    }
    const stop = () => over(() => reject(signal.reason))
    const enter = (next: FetchPhase) => {
      phase = next
      order.enter(next)
    }
    signal.addEventListener('abort', stop)
    // The listener stays: what is heard after the end is heard by nobody else, and would end the process.
    request.on('error', failWith)
    request.on('close', () => fail('truncated', 'the connection ended without an answer'))
    request.on('socket', (socket) => {
      connection = socket
      followPhases(socket, target.isSecure, enter)
    })
    refuseInterimAnswers(request, fail)
    request.on('response', (response) => {
      enter('body')
      // An answer that is cut off says so here or at its request.
      response.on('error', failWith)
      readAnswer(response, order.maximumBytes, fail, (answer) => over(() => resolve(answer)))
    })
  })
}

type Fail = (failure: FetchFailure, reason: string, facts?: { status?: number; code?: string }) => void

/**
 * Nothing of the surroundings has a say: no agent that others share or configure, no proxy from environment variables (from Node 24 on, an agent
 * may take them up, unless `proxyEnv` is null), no lenient parser, no NODE_TLS_REJECT_UNAUTHORIZED, no credentials, no cookies, no redirects.
 */
function send(order: Exchange): ClientRequest {
  const { target, method, body } = order
  const options = {
    host: target.host,
    port: target.port,
    path: target.path,
    method,
    headers: headersOf(order),
    lookup: pinned(order.addresses),
    autoSelectFamily: true,
    maxHeaderSize: limits.fetchHeaderBytes,
    insecureHTTPParser: false,
  }
  const agentOptions = { keepAlive: false, maxCachedSessions: 0, proxyEnv: null }
  const request = target.isSecure
    ? https.request({ ...options, ...tlsOptions(order), agent: new https.Agent(agentOptions) })
    : http.request({ ...options, agent: new http.Agent(agentOptions) })
  request.end(body)
  return request
}

/** The name in the certificate is compared with the host, as Node does unless told otherwise. */
const tlsOptions = ({ secureContext }: Exchange) => ({ secureContext: secureContext(), rejectUnauthorized: true })

function headersOf({ body, contentType, accept }: Exchange): Record<string, string | number> {
  return {
    Accept: accept,
    'Accept-Encoding': 'identity',
    'User-Agent': 'mtls-identity',
    ...(body === undefined ? {} : { 'Content-Length': body.length }),
    ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
  }
}

/** Answers every question about any name with the addresses that were judged: nobody is asked a second time, who might answer otherwise. */
function pinned(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, { all }, callback) => {
    const [first] = found
    if (all) callback(null, found)
    else callback(null, first?.address ?? '', first?.family)
  }
}

function followPhases(socket: Socket, isSecure: boolean, enter: (phase: FetchPhase) => void): void {
  socket.once('connect', () => enter(isSecure ? 'tls' : 'headers'))
  socket.once('secureConnect', () => enter('headers'))
}

/** RFC 9110 §15.2: interim answers come unasked, and a client skips them; it need not skip them for ever. */
function refuseInterimAnswers(request: ClientRequest, fail: Fail): void {
  let count = 0
  request.on('information', ({ statusCode }) => {
    if (++count > limits.interimAnswers)
      fail('status', `more than ${limits.interimAnswers} interim answers`, { status: statusCode })
  })
  request.on('upgrade', () => fail('status', 'the server switched protocols', { status: 101 }))
}

function readAnswer(response: IncomingMessage, maximum: number, fail: Fail, deliver: (answer: Answer) => void): void {
  const { headers } = response
  if (isRefused(response, maximum, fail)) return
  const octets = new GrowingOctets(maximum)
  response.on('data', (chunk: Buffer) => {
    if (!octets.add(chunk)) fail('too-large', `the answer has more than ${maximum} octets`)
  })
  response.on('end', () => {
    if (response.complete) deliver({ bytes: octets.take(), headers })
    else fail('truncated', 'the connection ended within the answer')
  })
}

/** Whatever can be seen before the first octet of the body. */
function isRefused({ statusCode: status = 0, headers }: IncomingMessage, maximum: number, fail: Fail): boolean {
  // 304 answers a condition, and we make none.
  if (status >= 300 && status < 400 && status !== 304) {
    // From http to https, say, with the query it was asked with.
    const to = quote(shownUrl(headers.location ?? 'nowhere'))
    fail('redirect', `status ${status} leads to ${to}; redirects are not followed — write the URL itself`, { status })
    return true
  }
  if (status !== 200) {
    fail('status', `status ${status}`, { status })
    return true
  }
  const coding = [headers['content-encoding'] ?? '', headers['transfer-encoding'] ?? '']
    .map((value) => value.trim().toLowerCase())
    .find((value, index) => value !== '' && value !== ['identity', 'chunked'][index])
  if (coding !== undefined) {
    fail('encoding', `the answer is encoded as ${quote(coding)}, although only identity was accepted`)
    return true
  }
  const length = Number(headers['content-length'] ?? 0)
  if (length <= maximum) return false
  fail('too-large', `the answer has ${length} octets, ${maximum} at most are read`)
  return true
}

/** Names the failure by where the exchange stood, and by what Node's parser and OpenSSL say. */
function failureOf({ code = '', message }: NodeJS.ErrnoException, phase: FetchPhase): [FetchFailure, reason: string] {
  const what = code === '' ? quote(message) : code
  if (/^HPE_\w*OVERFLOW$/.test(code)) return ['too-large', `too many octets around the answer (${what})`]
  if (/^HPE_(?!INVALID_EOF_STATE)/.test(code)) return ['malformed', `the answer is not HTTP/1 (${what})`]
  if (phase === 'connect') return ['connect', `no connection to its host (${what})`]
  if (phase === 'tls' || /^ERR_(?:TLS|SSL)_/.test(code)) return ['tls', `no TLS with its host: ${quote(message)}`]
  return ['truncated', `the connection ended before the answer did (${what})`]
}

/**
 * Octets in one piece of memory that grows with them, up to a maximum. A list of the chunks would be an object for each, and a server may send
 * every octet as a chunk of its own.
 */
class GrowingOctets {
  readonly #maximum: number
  #octets: Uint8Array = new Uint8Array(0)
  #length = 0

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  /** False where that would be more than the maximum. */
  add(chunk: Uint8Array): boolean {
    const length = this.#length + chunk.length
    if (length > this.#maximum) return false
    if (length > this.#octets.length) this.#grow(length)
    this.#octets.set(chunk, this.#length)
    this.#length = length
    return true
  }

  take(): Uint8Array {
    return this.#octets.slice(0, this.#length)
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.min(this.#maximum, Math.max(length, 2 * this.#octets.length, 4_096)))
    grown.set(this.#octets.subarray(0, this.#length))
    this.#octets = grown
  }
}
