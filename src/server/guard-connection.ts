import { anchoredBy, claimOf } from '../core/claims.js'
import { type AuthenticatorInternals, internals } from '../core/contract.js'
import type { Decision } from '../core/decision.js'
import { guardDecision } from '../core/guard.js'
import { type AnyClientCertError, ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { generationOf, isRule, type Rule } from '../rules/rule.js'
import type { AnyRequest } from '../source/source.js'
import { whenRejected } from '../thenable.js'
import { recheckMilliseconds, type Watched, watchOf } from './connection-watch.js'

/** A socket, an HTTP/2 stream, a response, a WebSocket's socket: what can be ended, and says when it has ended. */
export interface GuardedConnection {
  once(event: 'close', listener: () => void): unknown
  off(event: 'close', listener: () => void): unknown
  destroy(): unknown
  readonly destroyed?: boolean
  readonly closed?: boolean
}

export interface GuardConnectionOptions {
  /** The request the connection began with, for custom rules that read it. Without it they get none, and most of them then refuse. */
  request?: AnyRequest
  /** What must hold beside the authenticator's own rules: the rule of the route. */
  rule?: Rule
  /** Called instead of ending the connection, when the identity no longer holds: to say goodbye first, or to let it go on. */
  onEnd?: (error: AnyClientCertError) => void
}

/**
 * Ends a connection that outlives its request when the identity it was opened with stops holding: when the certificate has ended or was revoked,
 * its CA left the trust store, or a rule no longer holds. Looked at every second and at every reload; rules that read the clock or the
 * request are asked again every minute. What cannot be determined ends it too.
 *
 * Takes the identity, or the decision, of whichever authenticator accepted it. Throws {@link ClientCertConfigError} for anything else.
 *
 * @returns what stops guarding; closing the connection does so too
 * @example
 * server.on('upgrade', async (request, socket) => {
 *   const decision = await auth.authenticate(request)
 *   if (decision.outcome !== 'accepted') return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
 *   guardConnection(socket, decision, { request })
 *   openWebSocket(socket)
 * })
 */
export function guardConnection(
  connection: GuardedConnection,
  subject: ClientIdentity | Decision,
  options: GuardConnectionOptions = {},
): () => void {
  const { request, rule, onEnd } = digest(connection, options)
  const identity = identityIn(subject)
  const claim = claimOf(identity)
  if (claim === undefined) {
    throw new ClientCertConfigError(
      'guardConnection: this identity was given out by no authenticator — guardConnection(socket, clientIdentity(request))',
    )
  }
  const authenticator = claim.authenticator as AuthenticatorInternals
  const { decideAgain, hold } = authenticator[internals]
  const standing = { identity, path: claim.path }
  const held = hold(connection)
  const watch = watchOf(authenticator)
  const { rules } = authenticator[internals].settings
  const mayChange = [rule, rules].some((asked) => asked?.isOfIdentity === false)
  let generation = Number.NaN
  const watched: Watched = {
    decidedAt: Number.NaN,
    validUntil: Number.NaN,
    isChanged: () => generationOf(rule) !== generation,
    check: async () => {
      generation = generationOf(rule)
      const decision = await decideAgain(standing, request)
      if (decision.outcome !== 'accepted') return decision.error
      held.by(anchoredBy(decision))
      watched.decidedAt = decision.decidedAt.getTime()
      const recheckAt = mayChange ? watched.decidedAt + recheckMilliseconds : Number.POSITIVE_INFINITY
      watched.validUntil = Math.min(decision.validUntil.getTime(), recheckAt)
      if (rule === undefined) return undefined
      const mounted = { authenticator, decision, reportOnly: false, passed: true, answer: asItIs }
      return (await guardDecision(mounted, rule, request))?.error as AnyClientCertError | undefined
    },
    end: (error) => {
      held.release()
      connection.off('close', stop)
      if (onEnd === undefined) connection.destroy()
      else endBy(onEnd, error, connection)
    },
  }
  const stop = () => {
    held.release()
    connection.off('close', stop)
    watch.remove(watched)
  }
  // It has said so already, and says it once.
  if (connection.destroyed === true || connection.closed === true) return () => {}
  held.by(claim.path)
  connection.once('close', stop)
  watch.add(watched)
  return stop
}

function digest(connection: GuardedConnection, options: GuardConnectionOptions): GuardConnectionOptions {
  const where = 'guardConnection'
  if (typeof connection?.destroy !== 'function' || typeof connection.once !== 'function') {
    throw new ClientCertConfigError(`${where}: the first argument is the socket — ${where}(socket, identity)`)
  }
  refuseUnknownOptions(where, options, ['request', 'rule', 'onEnd'])
  if ('rule' in options && !isRule(options.rule)) {
    throw new ClientCertConfigError(`${where}: rule is not one — { rule: rules.dnsName("a.test") }; or leave it out`)
  }
  if ('onEnd' in options && typeof options.onEnd !== 'function')
    throw new ClientCertConfigError(`${where}: onEnd is a function of the error; or leave it out`)
  return options
}

function identityIn(subject: ClientIdentity | Decision): ClientIdentity {
  const given = typeof subject === 'object' && subject !== null ? subject : undefined
  if (given === undefined || !('outcome' in given)) return (given ?? {}) as ClientIdentity
  if (given.outcome === 'accepted') return given.identity
  throw new ClientCertConfigError(
    'guardConnection: this decision accepted nobody — end the connection where decision.outcome is not "accepted"',
  )
}

const asItIs = (error: AnyClientCertError) => error

/** A callback that throws has not taken care of the connection. */
function endBy(
  onEnd: (error: AnyClientCertError) => unknown,
  error: AnyClientCertError,
  connection: GuardedConnection,
) {
  const destroy = () => connection.destroy()
  try {
    whenRejected(onEnd(error), destroy)
  } catch {
    destroy()
  }
}
