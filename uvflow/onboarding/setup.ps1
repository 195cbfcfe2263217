# Made by `uvflow setup --script ps1`: makes a fresh clone ready, and may be run again at any time.
$ErrorActionPreference = "Stop"
Set-Location $PSScriptRoot
if (-not (Get-Command uv -ErrorAction SilentlyContinue)) {
    $env:UV_INSTALL_DIR = "$HOME\.local\bin"
    Invoke-RestMethod https://astral.sh/uv/@uv@/install.ps1 | Invoke-Expression
    $env:PATH = "$env:UV_INSTALL_DIR;$env:PATH"
}
uv tool run --from "uvflow==@uvflow@" uvflow setup @args
exit $LASTEXITCODE
