import { STATUS_CODES } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import { anchoredBy } from '../core/claims.js'
import { type Authenticator, type AuthenticatorInternals, internals, isAuthenticator } from '../core/contract.js'
import type { Decision } from '../core/decision.js'
import { guardDecision, recordDecision } from '../core/guard.js'
import { requestIdOf } from '../core/request-id.js'
import { answering, problemOf, type ResponseOptions, sendProblem } from '../core/responses.js'
import { markUpgradeGuarded, upgradeGuardOf } from '../core/upgraded-servers.js'
import { type AnyClientCertError, ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { CertificationPath } from '../path/certification-path.js'
import { generationOf, isRule, type Rule } from '../rules/rule.js'
import type { AnyRequest } from '../source/source.js'
import { type Watched, watchOf } from './connection-watch.js'
import { refuseApplication } from './server-emit.js'

export interface UpgradeOptions {
  /** What must hold of the client, beside the authenticator's own rules. */
  rule?: Rule
  /**
   * Milliseconds after which an open connection is decided about again; one that would be refused now is cut. 1,000 to 86,400,000; default
   * 60,000. Sooner, within a second, when its certificate ends, and when trust, revocation or rules change. `false`: never, and a certificate
   * that ends or is revoked keeps what it has opened.
   */
  recheck?: number | false
  /** How refusals are answered. */
  responses?: ResponseOptions
}

/** What `authenticateUpgrade` needs of a server of `node:http`, `node:https` and `node:http2`. */
export interface UpgradingServer {
  // biome-ignore lint/suspicious/noExplicitAny: the events of three servers have nothing in common
  emit(event: any, ...args: any[]): boolean
  listenerCount(event: string): number
}

/**
 * Guards the ways past middleware: a server's `upgrade` (WebSockets) and `connect` events. Their listeners, whether they were added before or
 * will be later, hear of accepted clients only; `clientIdentity(request)` works in them. Others get the status of their refusal, and the connection
 * ends. What is open is decided about again, every minute and when something has changed: a certificate that has ended, was revoked, or no
 * longer holds by the rules cuts it. Throws {@link ClientCertConfigError}.
 *
 * @example
 * const server = https.createServer(tlsServerOptions(auth, { key, cert }), app)
 * authenticateUpgrade(server, auth, { rule: rules.trustDomain('acme.example') })
 * new WebSocketServer({ server })
 */
export function authenticateUpgrade(
  server: UpgradingServer,
  authenticator: Authenticator,
  options: UpgradeOptions = {},
): void {
  const settings = digest(server, authenticator, options)
  markUpgradeGuarded(server, 'authenticateUpgrade')
  const emit = server.emit
  server.emit = (event: string, ...args: unknown[]) => {
    if (event !== 'upgrade' && event !== 'connect') return emit.call(server, event, ...args)
    if (server.listenerCount(event) === 0) return emit.call(server, event, ...args)
    const [request, carrier] = args as [AnyRequest, Duplex | Http2ServerResponse]
    const pass = () => emit.call(server, event, ...args)
    void ('writeHead' in carrier
      ? decideStream(settings, request, carrier, pass)
      : decideSocket(settings, request, carrier, pass))
    return true
  }
}

interface UpgradeSettings {
  readonly authenticator: AuthenticatorInternals
  readonly rule: Rule | undefined
  readonly recheck: number | false
  readonly answer: (error: AnyClientCertError) => AnyClientCertError
}

function digest(server: UpgradingServer, authenticator: Authenticator, options: UpgradeOptions): UpgradeSettings {
  const where = 'authenticateUpgrade'
  refuseApplication(where, server)
  if (typeof server?.emit !== 'function' || typeof server.listenerCount !== 'function') {
    throw new ClientCertConfigError(`${where}: the first argument is the server — ${where}(server, authenticator)`)
  }
  if (!isAuthenticator(authenticator)) {
    throw new ClientCertConfigError(
      `${where}: the second argument is the authenticator — ${where}(server, authenticator)`,
    )
  }
  refuseUnknownOptions(where, options, ['rule', 'recheck', 'responses'])
  const { rule, recheck = 60_000, responses = {} } = options
  if ('rule' in options && !isRule(rule)) {
    throw new ClientCertConfigError(
      `${where}: rule is not one — { rule: rules.dnsName("a.test") }; to ask none, leave it out`,
    )
  }
  if (recheck !== false && !(Number.isSafeInteger(recheck) && recheck >= 1_000 && recheck <= 86_400_000)) {
    throw new ClientCertConfigError(
      `${where}: recheck is ${recheck}, expected 1,000 to 86,400,000 milliseconds, or false`,
    )
  }
  if (upgradeGuardOf(server) === 'authenticateUpgrade') {
    throw new ClientCertConfigError(`${where}: this server is guarded already — one call for each server`)
  }
  return { authenticator: authenticator as AuthenticatorInternals, rule, recheck, answer: answering(responses, {}) }
}

const reporting = { enforced: true, absentPasses: false }

/** What was found out about a client: the error refuses it. */
interface Look {
  readonly error: AnyClientCertError | undefined
  readonly anchored?: Pick<CertificationPath, 'anchor'>
  readonly decidedAt: number
  readonly validUntil: number
  /** Of the rule, before it was asked. */
  readonly generation: number
}

async function lookAt({ authenticator, rule, recheck, answer }: UpgradeSettings, request: AnyRequest): Promise<Look> {
  const generation = generationOf(rule)
  const decidedAt = watchOf(authenticator).clock()
  const decision: Decision = await authenticator[internals].decide(request, reporting)
  const passed = decision.outcome === 'accepted'
  const mounted = { authenticator, decision, reportOnly: false, passed, answer }
  recordDecision(request, mounted)
  if (decision.outcome !== 'accepted')
    return { error: answer(decision.error), decidedAt, validUntil: decidedAt, generation }
  const error = rule === undefined ? undefined : (await guardDecision(mounted, rule, request))?.error
  const validUntil = decision.validUntil.getTime()
  const recheckAt = decidedAt + (recheck === false ? 0 : recheck)
  return {
    error: error as AnyClientCertError | undefined,
    anchored: anchoredBy(decision),
    decidedAt,
    // What says nothing about its end was good for this decision, and is asked again with the rules.
    validUntil: validUntil > decidedAt ? Math.min(validUntil, recheckAt) : recheckAt,
    generation,
  }
}

async function decideSocket(settings: UpgradeSettings, request: AnyRequest, socket: Duplex, pass: () => void) {
  // The HTTP parser has let go of the socket, and nobody else listens yet: an error would end the process.
  const ignore = () => {}
  socket.on('error', ignore)
  const stamp = watchOf(settings.authenticator).stamp()
  const look = await lookAt(settings, request)
  if (socket.destroyed) return
  if (look.error !== undefined) {
    socket.end(responseText(look.error, nameOf(settings, request)), () => socket.destroy())
    return
  }
  socket.off('error', ignore)
  watch(settings, request, socket, look, stamp)
  pass()
}

/** HTTP/2: CONNECT, and the WebSockets of RFC 8441, are a stream of a connection that goes on. */
async function decideStream(
  settings: UpgradeSettings,
  request: AnyRequest,
  response: Http2ServerResponse,
  pass: () => void,
) {
  const stamp = watchOf(settings.authenticator).stamp()
  const look = await lookAt(settings, request)
  if (response.stream === undefined || response.stream.destroyed) return
  if (look.error !== undefined) return sendProblem(response, look.error, nameOf(settings, request))
  watch(settings, request, response.stream, look, stamp)
  pass()
}

/** Decides again and again while the connection is open: when it is time, and when something has changed. */
function watch(settings: UpgradeSettings, request: AnyRequest, connection: Duplex, look: Look, stamp: string): void {
  const held = settings.authenticator[internals].hold(connection)
  const hold = ({ anchored }: Look) => anchored && held.by(anchored)
  hold(look)
  connection.once('close', held.release)
  if (settings.recheck === false) return
  const open = watchOf(settings.authenticator)
  let { generation } = look
  const watched: Watched = {
    decidedAt: look.decidedAt,
    validUntil: look.validUntil,
    isChanged: () => generationOf(settings.rule) !== generation,
    check: async () => {
      const now = await lookAt(settings, request)
      hold(now)
      generation = now.generation
      watched.decidedAt = now.decidedAt
      watched.validUntil = now.validUntil
      return now.error
    },
    end: () => connection.destroy(),
  }
  connection.once('close', () => open.remove(watched))
  open.add(watched, stamp)
}

const nameOf = ({ authenticator }: UpgradeSettings, request: AnyRequest) =>
  requestIdOf(authenticator[internals].settings, request)

function responseText(error: AnyClientCertError, requestId: string | undefined): string {
  const body = JSON.stringify(problemOf(error, requestId))
  const fields = {
    ...error.headers,
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('')}\r\n${body}`
}
