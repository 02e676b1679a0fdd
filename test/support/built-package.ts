/** The package in a folder of its own, so that `mtls-identity/…` means this build whatever dist/ holds. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const repository = join(import.meta.dirname, '../..')

/** With the examples. The folder is for its caller to remove. */
export function builtPackage(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-examples-'))
  cpSync(join(repository, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
  const tsc = join(repository, 'node_modules/.bin/tsc')
  execFileSync(tsc, ['-p', 'tsconfig.esm.json', '--outDir', join(folder, 'dist/esm')], { cwd: repository })
  cpSync(join(repository, 'examples'), join(folder, 'examples'), { recursive: true })
  return folder
}
