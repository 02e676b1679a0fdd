import type { AddressInfo } from 'node:net'
import { type AuthenticatorInternals, internals } from '../core/contract.js'
import { checkUpgrades } from '../core/upgraded-servers.js'
import { warn, warnOf } from '../warn.js'
import { bugsOf } from './node-versions.js'

/** What can be seen of a server from outside. */
export interface CheckedServer {
  readonly requestCert?: unknown
  readonly rejectUnauthorized?: unknown
  readonly ca?: unknown
  readonly listening?: boolean
  address?(): AddressInfo | string | null
  listenerCount?(event: string): number
}

export interface CheckFacts {
  readonly isTls: boolean
  readonly authenticator: AuthenticatorInternals
}

/** What is wrong with a server as it was made: one warning for each. */
export function checkAtOnce(server: CheckedServer, { isTls, authenticator }: CheckFacts): void {
  const { source } = authenticator[internals].settings
  const readsTls = source.readSocket !== undefined
  if (readsTls && !isTls) {
    warnOf(
      server,
      'MTLS_NO_REQUEST_CERT',
      'this server speaks plain HTTP, which carries no certificate — https.createServer(tlsServerOptions(auth, { key, cert }), app), or source: forwardedHeader({ … })',
    )
  } else if (readsTls && server.requestCert !== true) {
    warnOf(
      server,
      'MTLS_NO_REQUEST_CERT',
      'this server never asks for a certificate (requestCert is false) — create it with https.createServer(tlsServerOptions(auth, { key, cert }), app)',
    )
  } else if (readsTls && server.rejectUnauthorized !== false) {
    warnOf(
      server,
      'MTLS_REJECT_UNAUTHORIZED',
      'Node refuses clients of this server in the handshake, without a reason (rejectUnauthorized is true) — rejectUnauthorized: false, and let the authenticator decide',
    )
  }
  if (isTls && server.requestCert === true && server.ca === undefined) {
    warnOf(
      server,
      'MTLS_PUBLIC_ROOTS',
      'the TLS server trusts the public roots (ca not set) — ca: [] and let trust: decide',
    )
  }
  if (isTls) checkNodeVersion(process.versions.node)
}

/** What shows when a server listens and its application has put its listeners up. */
export function checkListening(server: CheckedServer, { isTls, authenticator }: CheckFacts): void {
  checkUpgrades(server)
  const { source } = authenticator[internals].settings
  const address = server.address?.()
  if (isTls || source.name === 'tls' || typeof address !== 'object' || address === null) return
  if (address.address === '::' || address.address === '0.0.0.0') {
    warnOf(
      server,
      'MTLS_PLAIN_HEADER_PORT',
      `port ${address.port} takes certificates in headers, in plain and from every interface (${address.address}) — listen(${address.port}, '127.0.0.1') where the proxy is on this machine, or its network's address`,
    )
  }
}

let isVersionChecked = false

function checkNodeVersion(version: string): void {
  if (isVersionChecked) return
  isVersionChecked = true
  const text = versionWarning(version)
  if (text !== undefined) warn('MTLS_NODE_VERSION', text)
}

/** Undefined where nothing is known against a version. */
export function versionWarning(version: string): string | undefined {
  const bugs = bugsOf(version)
  if (bugs.length === 0) return undefined
  const line = Number.parseInt(version, 10)
  const list = bugs.map(({ id, what }) => `${id}: ${what}`).join('; ')
  const fix = bugs.every(({ fixed }) => fixed[line] !== undefined)
    ? 'update it'
    : 'a later line has them fixed; until then let nothing read socket.authorized'
  return `Node ${version} has known bugs with client certificates, which decisions here do not depend on (${list}) — ${fix}`
}
