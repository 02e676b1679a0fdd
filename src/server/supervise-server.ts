import { maxHeaderSize } from 'node:http'
import { type Authenticator, type AuthenticatorInternals, internals, isAuthenticator } from '../core/contract.js'
import { markUpgradeGuarded, unmarkUpgradeGuarded, upgradeGuardOf } from '../core/upgraded-servers.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { sharedMap } from '../shared.js'
import { warn } from '../warn.js'
import { ConnectionEvents } from './connection-events.js'
import { type CredentialFiles, type CredentialProvider, openCredentials } from './credential-source.js'
import { HandshakeLines, type ServerLog } from './handshake-lines.js'
import { admit, type OnIdentityEnd, OpenConnections } from './open-connections.js'
import { type SecureServer, ServerContext } from './server-context.js'
import { type EmittingServer, filterEvents, refuseApplication } from './server-emit.js'
import { type CheckedServer, checkAtOnce, checkListening } from './server-start-checks.js'

export interface SuperviseOptions {
  /** Where the server's own key and certificate come from: `{ key, cert }` or `{ pfx }`, paths that are watched, or `{ load, refresh }`. */
  credentials?: CredentialFiles | CredentialProvider
  /** `true`: a connection is decided about before the application hears of it, and before anything is sent on it. For gRPC, MQTT, bare TLS. */
  refuseConnections?: boolean
  /** Called instead of closing a connection whose identity no longer holds. */
  onIdentityEnd?: OnIdentityEnd
  /** `'guarded'` says that listeners for `upgrade` and `connect` ask the authenticator themselves. */
  upgrades?: 'guarded'
  /** Who gets the lines about clients that never reached the application; `false` for silence. Default stderr, rate limited either way. */
  log?: false | ServerLog
}

/** What {@link superviseServer} returns. */
export interface Supervisor {
  /** Resolves when the key and certificate of a provider were loaded; rejects with the reason after three failures. */
  ready(): Promise<void>
  /** Stops everything it does; the server goes on with what it has. */
  close(): void
}

/** A server of `node:https`, `node:http2`, `node:tls`, or in header mode of `node:http`. */
export interface SupervisedServer extends EmittingServer {
  once(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
}

type AnyServer = SupervisedServer & CheckedServer & { readonly maxHeaderSize?: number }

const supervised = sharedMap<true>('supervised')
const where = 'superviseServer'

/**
 * Keeps a server right while it runs. When trust changes, it gets a new secure context and new ticket keys, so that no session outlives the
 * trust it was made under, and connections whose identity no longer holds are closed. Its key and certificate rotate from files or a provider:
 * whole, or not at all. What Node refuses without a word gets a line, and what was set up wrong one warning each.
 *
 * Call it before `listen()`: connections that are open already are not looked after. Throws {@link ClientCertConfigError}.
 *
 * @example
 * const server = https.createServer(tlsServerOptions(auth, { key, cert }), app)
 * superviseServer(server, auth, { credentials: { key: './server.key', cert: './server.crt' } })
 * server.listen(8443)
 */
export function superviseServer(
  server: SupervisedServer,
  authenticator: Authenticator,
  options: SuperviseOptions = {},
): Supervisor {
  const settings = digest(server, authenticator, options)
  const { auth, secure, refuseConnections, onIdentityEnd } = settings
  const facts = { isTls: secure !== undefined, authenticator: auth }
  const releases: (() => void)[] = []
  const context = secure && new ServerContext(secure, auth)
  const credentials =
    options.credentials === undefined || context === undefined
      ? undefined
      : openCredentials(options.credentials, (loaded) => context.renew(loaded))
  if (credentials !== undefined) releases.push(() => credentials.close())
  if (context !== undefined) releases.push(followTrust(context, auth))

  checkAtOnce(server as AnyServer, facts)
  releases.push(whenListening(server, () => checkListening(server as AnyServer, facts)))

  const lines = new HandshakeLines(options.log, auth[internals].settings.now)
  const events = new ConnectionEvents()
  const connections = new OpenConnections(auth, onIdentityEnd)
  releases.push(() => connections.close())
  const { maxHeaderSize: own } = server as AnyServer
  const stopFilter = filterEvents(server, (event, args, pass) => {
    const [first, second] = args as [never, never]
    if (event === 'connection' && secure !== undefined) events.begun(first)
    else if (event === 'tlsClientError') {
      events.failed(first, second)
      lines.handshake(first, second)
    } else if (event === 'clientError') lines.http(first, second, own ?? maxHeaderSize)
    else if (event === 'secureConnection') {
      if (refuseConnections) {
        void admit(first, auth, onIdentityEnd, pass, events.atDoor(first))
        return true
      }
      events.established(first)
      connections.add(first)
    }
    return pass()
  })
  // Nobody gets past the door without a decision, or the operator says that upgrades are decided about.
  if ((options.upgrades === 'guarded' || refuseConnections) && upgradeGuardOf(server) === undefined) {
    markUpgradeGuarded(server, 'application')
    releases.push(() => unmarkUpgradeGuarded(server))
  }
  releases.push(stopFilter, () => supervised.delete(server))
  supervised.set(server, true)
  return Object.freeze({
    ready: async () => credentials?.ready(),
    close: () => {
      for (const release of releases.splice(0)) release()
    },
  })
}

function followTrust(context: ServerContext, auth: AuthenticatorInternals): () => void {
  const follow = () => {
    try {
      context.follow()
    } catch (error) {
      warn(
        'MTLS_SERVER_CONTEXT',
        `the TLS context could not be renewed: ${(error as Error).message} (decisions are not affected, old sessions live on)`,
      )
    }
  }
  follow()
  const { trust, intermediates } = auth[internals].settings
  const stops = [trust, intermediates].map((store) => store?.onReload((result) => result.ok && follow()))
  return () => {
    for (const stop of stops) stop?.()
  }
}

/** Applications put their listeners up before they listen, or at once afterwards. */
function whenListening(server: SupervisedServer, check: () => void): () => void {
  const soon = () => setImmediate(check)
  if ((server as CheckedServer).listening === true) soon()
  else server.once('listening', soon)
  return () => server.off('listening', soon)
}

interface Digested {
  readonly auth: AuthenticatorInternals
  readonly secure: SecureServer | undefined
  readonly refuseConnections: boolean
  readonly onIdentityEnd: OnIdentityEnd | undefined
}

function digest(server: SupervisedServer, authenticator: Authenticator, options: SuperviseOptions): Digested {
  const refuse = (reason: string) => new ClientCertConfigError(`${where}: ${reason}`)
  refuseApplication(where, server)
  if (typeof server?.emit !== 'function' || typeof server.once !== 'function')
    throw refuse('the first argument is the server — superviseServer(server, auth)')
  if (!isAuthenticator(authenticator))
    throw refuse('the second argument is the authenticator — superviseServer(server, auth)')
  if (supervised.has(server)) throw refuse('this server is supervised already — one call for each server')
  refuseUnknownOptions(where, options, ['credentials', 'refuseConnections', 'onIdentityEnd', 'upgrades', 'log'])
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) throw refuse(`${name} is undefined — leave it out, or give it a value`)
  }
  const { credentials, refuseConnections = false, onIdentityEnd, upgrades, log } = options
  if (typeof refuseConnections !== 'boolean') throw refuse('refuseConnections is true or false')
  if (onIdentityEnd !== undefined && typeof onIdentityEnd !== 'function')
    throw refuse('onIdentityEnd is a function of the socket and the error')
  if (upgrades !== undefined && upgrades !== 'guarded') throw refuse("upgrades is 'guarded', or left out")
  if (log !== undefined && log !== false && typeof log !== 'function')
    throw refuse('log is false or a function of a line')
  const auth = authenticator as AuthenticatorInternals
  const secure = 'setSecureContext' in server ? (server as unknown as SecureServer) : undefined
  if (secure === undefined && credentials !== undefined)
    throw refuse('credentials: a server without TLS has none — leave them out')
  if (refuseConnections && (secure === undefined || auth[internals].settings.source.readSocket === undefined)) {
    throw refuse(
      'refuseConnections: connections are decided about by the certificate of their TLS peer — leave it out where a header carries it',
    )
  }
  return { auth, secure, refuseConnections, onIdentityEnd }
}
