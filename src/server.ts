/**
 * `mtls-identity/server`: what keeps a server right while it runs.
 *
 * @module
 */
export type { CredentialFiles, CredentialProvider } from './core/credential-source.js'
export { type GuardConnectionOptions, type GuardedConnection, guardConnection } from './core/guard-connection.js'
export type { ServerCredentials } from './core/server-context.js'
export {
  type AdvertiseOption,
  type EnforcedTlsOptions,
  type TlsServerOptions,
  tlsServerOptions,
} from './core/server-options.js'
export {
  type SupervisedServer,
  type SuperviseOptions,
  type Supervisor,
  superviseServer,
} from './core/supervise-server.js'
