# Installs preview-gc @VERSION@ to %LOCALAPPDATA%\preview-gc, or to PREVIEW_GC_INSTALL_DIR.
$ErrorActionPreference = "Stop"

$url = if ($env:PREVIEW_GC_DOWNLOAD_URL) { $env:PREVIEW_GC_DOWNLOAD_URL } else { "@URL@" }
$folder = if ($env:PREVIEW_GC_INSTALL_DIR) { $env:PREVIEW_GC_INSTALL_DIR } else { Join-Path $env:LOCALAPPDATA "preview-gc" }

switch ([System.Runtime.InteropServices.RuntimeInformation]::OSArchitecture) {
  "X64" {
    $target = "x86_64-pc-windows-msvc"
    $sum = "@SHA256_X86_64_PC_WINDOWS_MSVC@"
  }
  "Arm64" {
    $target = "aarch64-pc-windows-msvc"
    $sum = "@SHA256_AARCH64_PC_WINDOWS_MSVC@"
  }
  default { throw "there is no program for this machine; build preview-gc from its source" }
}

$download = New-Item -ItemType Directory -Path (Join-Path ([System.IO.Path]::GetTempPath()) ([System.Guid]::NewGuid()))
try {
  $archive = "preview-gc-$target.zip"
  $file = Join-Path $download $archive
  Invoke-WebRequest -Uri "$url/$archive" -OutFile $file -UseBasicParsing
  if ((Get-FileHash -Algorithm SHA256 -Path $file).Hash -ne $sum) {
    throw "$archive is not the file of this release; nothing was installed"
  }
  Expand-Archive -Path $file -DestinationPath $download
  New-Item -ItemType Directory -Force -Path $folder | Out-Null
  Move-Item -Force -Path (Join-Path $download "preview-gc-$target\preview-gc.exe") -Destination $folder
} finally {
  Remove-Item -Recurse -Force -Path $download
}
Write-Output "installed $(& (Join-Path $folder "preview-gc.exe") --version) to $folder"
if (-not (($env:PATH -split ";") -contains $folder)) {
  Write-Output "$folder is not in PATH; add it"
}
