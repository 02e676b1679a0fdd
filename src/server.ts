/**
 * `mtls-identity/server`: what keeps a server right while it runs.
 *
 * @module
 */
export type { CredentialFiles, CredentialProvider } from './server/credential-source.js'
export { type GuardConnectionOptions, type GuardedConnection, guardConnection } from './server/guard-connection.js'
export type { ServerCredentials } from './server/server-context.js'
export {
  type AdvertiseOption,
  type EnforcedTlsOptions,
  type TlsServerOptions,
  tlsServerOptions,
} from './server/server-options.js'
export {
  type SupervisedServer,
  type SuperviseOptions,
  type Supervisor,
  superviseServer,
} from './server/supervise-server.js'
export { authenticateUpgrade, type UpgradeOptions, type UpgradingServer } from './server/upgrade.js'
